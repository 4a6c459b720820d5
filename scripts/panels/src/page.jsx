// The page that is photographed: a dashboard's grid of panels with what they show.

import { ThemeContext, createTheme, renderTextPanelMarkdown } from '@grafana/data';
import { ErrorBoundary, GlobalStyles, Icon, PanelChrome } from '@grafana/ui';
import { createRoot } from 'react-dom/client';

import { framesOf, timeRange } from './data.js';
import { BarGaugePanel, StatPanel, TablePanel, TextPanel, TimeSeriesPanel } from './grafana.jsx';
import { BarChartPanel, GaugePanel, PiePanel } from './ours.jsx';
import { HeatmapPanel, StateTimelinePanel } from './rows.jsx';

const PANELS = {
  timeseries: TimeSeriesPanel,
  stat: StatPanel,
  bargauge: BarGaugePanel,
  table: TablePanel,
  text: TextPanel,
  gauge: GaugePanel,
  piechart: PiePanel,
  barchart: BarChartPanel,
  heatmap: HeatmapPanel,
  'state-timeline': StateTimelinePanel,
};
const [ROW, GUTTER, EDGE] = [30, 8, 16]; // pixels, as Grafana's own grid has them

const theme = createTheme({ colors: { mode: 'dark' } });

function Message({ children }) {
  const style = { display: 'flex', height: '100%', alignItems: 'center', justifyContent: 'center', color: theme.colors.text.secondary };
  return <div style={style}>{children}</div>;
}

function Drawn({ item, width, height }) {
  const { panel, drawn, failure } = item;
  const Kind = PANELS[panel.type];
  if (failure) return <Message>{String(failure)}</Message>;
  if (!Kind) return <Message>panel type {panel.type} is not drawn here</Message>;
  if (!drawn.some((frame) => frame.length) && panel.type !== 'text' && panel.type !== 'stat') {
    return <Message>{panel.fieldConfig?.defaults?.noValue || 'No data'}</Message>;
  }
  const range = timeRange(item.range);
  return (
    <ErrorBoundary>
      {({ error }) => error ? <Message>{error.message}</Message> : (
        <Kind panel={panel} frames={drawn} range={range} theme={theme} width={width} height={height} />
      )}
    </ErrorBoundary>
  );
}

function Placed({ item, column }) {
  const { panel } = item;
  const { x, y, w, h } = panel.gridPos;
  const box = {
    position: 'absolute',
    left: x * column,
    top: y * (ROW + GUTTER),
    width: w * column - GUTTER,
    height: h * (ROW + GUTTER) - GUTTER,
  };
  if (panel.type === 'row') {
    const style = { ...box, display: 'flex', alignItems: 'center', gap: 6, ...theme.typography.h6, color: theme.colors.text.primary };
    return (
      <div style={style}>
        <Icon name={panel.collapsed ? 'angle-right' : 'angle-down'} />
        {panel.title}
      </div>
    );
  }
  const padding = ['table', 'stat'].includes(panel.type) ? 'none' : 'md'; // as their modules say
  return (
    <div style={box}>
      <PanelChrome
        title={panel.title ?? ''}
        description={panel.description && (() => renderTextPanelMarkdown(panel.description))}
        width={box.width}
        height={box.height}
        padding={padding}
        displayMode={panel.transparent ? 'transparent' : 'default'}
        titleItems={item.note && <span style={{ color: theme.colors.text.secondary, fontSize: 12, whiteSpace: 'nowrap' }}>{item.note}</span>}
      >
        {(width, height) => <Drawn item={item} width={width} height={height} />}
      </PanelChrome>
    </div>
  );
}

function Header({ input }) {
  const pill = { border: `1px solid ${theme.colors.border.medium}`, borderRadius: 2, padding: '3px 8px', background: theme.colors.background.primary };
  return (
    <div style={{ display: 'flex', gap: 10, alignItems: 'center', flexWrap: 'wrap', marginBottom: 12, fontSize: 13, color: theme.colors.text.secondary }}>
      <span style={{ fontSize: 20, fontWeight: 500, color: theme.colors.text.primary, marginRight: 12 }}>{input.title}</span>
      {input.variables.map(({ label, text }) => (
        <span key={label} style={pill}>
          {label} <b style={{ fontWeight: 500, color: theme.colors.text.primary, marginLeft: 6 }}>{text}</b>
        </span>
      ))}
      <span style={{ ...pill, marginLeft: 'auto' }}>{input.period}</span>
    </div>
  );
}

function Page({ input }) {
  const column = (input.width - 2 * EDGE + GUTTER) / 24;
  const bottom = Math.max(...input.panels.map(({ panel: { gridPos } }) => gridPos.y + gridPos.h), 1);
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div id="picture" style={{ width: input.width, padding: EDGE, background: theme.colors.background.canvas }}>
        {input.header && <Header input={input} />}
        <div style={{ position: 'relative', height: bottom * (ROW + GUTTER) - GUTTER }}>
          {input.panels.map((item, index) => <Placed key={index} item={item} column={column} />)}
        </div>
      </div>
    </ThemeContext.Provider>
  );
}

/** Draw a dashboard; the promise is kept when every panel has its data. */
window.draw = async (input) => {
  for (const item of input.panels) {
    try {
      item.drawn = await framesOf(item, theme);
    } catch (error) {
      item.failure = error;
      item.drawn = [];
      console.error(`${item.panel.title}: ${error.stack}`);
    }
  }
  createRoot(document.getElementById('root')).render(<Page input={input} />);
};
