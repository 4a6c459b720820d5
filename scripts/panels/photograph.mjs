// node photograph.mjs INPUT.json PICTURE.png [MAXIMAL_HEIGHT]: draws a dashboard's panels with
// @grafana/ui in a headless Chromium. INPUT.json is made by pictures.py.

import { build } from 'esbuild';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
const [input, picture, limit] = process.argv.slice(2);
const icons = join(here, 'node_modules/@grafana/ui/dist/public/img/icons');
const bundle = join(here, 'page.js');
const address = 'http://panels.invalid/'; // every request to it is answered here

if (!existsSync(bundle)) {
  await build({
    entryPoints: [join(here, 'src/page.jsx')],
    outfile: bundle,
    bundle: true,
    minify: true,
    format: 'iife',
    jsx: 'automatic',
    target: 'chrome120',
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    loader: { '.svg': 'dataurl', '.png': 'dataurl', '.ttf': 'empty', '.woff2': 'empty' },
    logLevel: 'error',
  });
}

const page_html = `<!doctype html><meta charset="utf-8">
<link rel="stylesheet" href="uPlot.css"><link rel="stylesheet" href="page.css">
<body style="margin:0;overflow:visible"><div id="root"></div><script src="page.js"></script>`;

function answer(path) {
  if (path === '/') return { contentType: 'text/html', body: page_html };
  if (path === '/page.js') return { contentType: 'text/javascript', body: readFileSync(bundle) };
  if (path === '/page.css') {
    const styles = bundle.replace(/js$/, 'css');
    return { contentType: 'text/css', body: existsSync(styles) ? readFileSync(styles) : '' };
  }
  if (path === '/uPlot.css') {
    return { contentType: 'text/css', body: readFileSync(join(here, 'node_modules/uplot/dist/uPlot.min.css')) };
  }
  const icon = join(icons, path.split('/icons/')[1] ?? 'none');
  if (existsSync(icon)) return { contentType: 'image/svg+xml', body: readFileSync(icon) };
  return { status: 404, body: '' };
}

const content = JSON.parse(readFileSync(input, 'utf8'));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--force-color-profile=srgb', '--font-render-hinting=none'],
});
try {
  const page = await browser.newPage({
    viewport: { width: content.width, height: 1000 },
    deviceScaleFactor: 1,
    timezoneId: 'UTC',
    locale: 'en-US',
  });
  page.on('pageerror', (error) => console.error(`page: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('404')) console.error(`page: ${message.text()}`);
  });
  await page.route('**/*', (route) => route.fulfill(answer(new URL(route.request().url()).pathname)));
  await page.goto(address);
  await page.evaluate((what) => window.draw(what), content);
  await page.locator('#picture').waitFor();
  const height = await page.evaluate(() => document.getElementById('picture').scrollHeight);
  const shown = limit ? Math.min(Number(limit), height) : height;
  await page.setViewportSize({ width: content.width, height: shown });
  await page.evaluate(() => document.fonts.ready);
  await page.waitForTimeout(1500); // charts draw in animation frames; nothing tells when the last has
  await page.screenshot({ path: picture, clip: { x: 0, y: 0, width: content.width, height: shown } });
} finally {
  await browser.close();
}
