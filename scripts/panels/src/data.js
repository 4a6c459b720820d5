// From query results to what a panel draws: transformations, field configuration, value mappings.
// All of it is @grafana/data's work; this only registers what a Grafana server would have.

import {
  FieldConfigOptionsRegistry,
  applyFieldOverrides,
  dateTime,
  displayNameOverrideProcessor,
  getFieldDisplayName,
  standardTransformers,
  standardTransformersRegistry,
  toDataFrame,
  transformDataFrame,
} from '@grafana/data';
import { lastValueFrom } from 'rxjs';

export const TIME_ZONE = 'utc';

const KNOWN = new Map(Object.values(standardTransformers).map((one) => [one.id, one])); // some are there twice
standardTransformersRegistry.setInit(() =>
  [...KNOWN.values()].map((transformation) => ({
    id: transformation.id,
    name: transformation.name,
    transformation: async () => transformation,
    editor: () => null,
    aliasIds: [],
  }))
);

// What Grafana's panels take for options that a file leaves out.
const GRAPH = {
  drawStyle: 'line',
  lineInterpolation: 'linear',
  lineWidth: 1,
  fillOpacity: 0,
  gradientMode: 'none',
  spanNulls: false,
  showPoints: 'auto',
  pointSize: 5,
  barAlignment: 0,
  barWidthFactor: 0.6,
  barMaxWidth: 100,
  stacking: { mode: 'none', group: 'A' },
  axisPlacement: 'auto',
  axisColorMode: 'text',
  axisBorderShow: false,
  axisGridShow: true,
  axisCenteredZero: false,
  axisLabel: '',
  scaleDistribution: { type: 'linear' },
  thresholdsStyle: { mode: 'off' },
  hideFrom: { legend: false, tooltip: false, viz: false },
};
const CUSTOM = {
  timeseries: GRAPH,
  barchart: { ...GRAPH, fillOpacity: 80 },
  table: { align: 'auto', cellOptions: { type: 'auto' }, inspect: false },
  'state-timeline': { fillOpacity: 70, lineWidth: 0, hideFrom: GRAPH.hideFrom },
  heatmap: { hideFrom: GRAPH.hideFrom },
  piechart: { hideFrom: GRAPH.hideFrom },
};
const COLOR = {
  timeseries: 'palette-classic',
  barchart: 'palette-classic',
  piechart: 'palette-classic',
  'state-timeline': 'continuous-GrYlRd',
};
const STANDARD = [
  'displayName', 'unit', 'min', 'max', 'decimals', 'color', 'thresholds', 'mappings', 'noValue',
  'description', 'fieldMinMax',
];
const BASE = { mode: 'absolute', steps: [{ value: null, color: 'green' }, { value: 80, color: 'red' }] };

/** The field configuration of a panel with Grafana's defaults filled in. */
export function fieldConfig(panel) {
  const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
  return {
    defaults: {
      mappings: [],
      thresholds: structuredClone(BASE),
      color: { mode: COLOR[panel.type] ?? 'thresholds' },
      ...defaults,
      custom: { ...CUSTOM[panel.type], ...defaults.custom },
    },
    overrides,
  };
}

// Options of lines and bars are not for the fields that make the x axis.
const isDrawn = (field) => field.type !== 'time' && field.type !== 'string';

function registry(panel, config) {
  const graph = CUSTOM[panel.type]?.drawStyle !== undefined;
  const custom = new Set(Object.keys(config.defaults.custom));
  for (const { properties } of config.overrides) {
    for (const { id } of properties) {
      if (id.startsWith('custom.')) custom.add(id.slice('custom.'.length));
    }
  }
  const common = {
    name: '',
    description: '',
    editor: () => null,
    override: () => null,
    process: (value) => value,
    shouldApply: () => true,
    settings: {},
  };
  const known = new FieldConfigOptionsRegistry();
  for (const id of STANDARD) {
    known.register({
      ...common,
      id,
      path: id,
      ...(id === 'displayName' && { process: displayNameOverrideProcessor }),
    });
  }
  for (const path of custom) {
    known.register({
      ...common,
      id: `custom.${path}`,
      path,
      isCustom: true,
      ...(graph && { shouldApply: isDrawn }),
    });
  }
  return known;
}

/** Replace what only a field or a row knows: ${__field.labels.host}, ${__series.name}. */
export function replaceField(text, scoped) {
  const context = scoped?.__dataContext?.value;
  if (!context || typeof text !== 'string') return text;
  const { field, frame, data } = context;
  return text.replace(/\$\{__(\w+)\.([^}]+)\}/g, (whole, object, path) => {
    if (object === 'series') return frame.name ?? '';
    if (object !== 'field') return whole;
    if (path.startsWith('labels.')) return field.labels?.[path.slice('labels.'.length)] ?? '';
    if (path === 'name') return field.name;
    return path === 'displayName' ? getFieldDisplayName(field, frame, data) : whole;
  });
}

// JSON has no NaN and no infinity; they travel as texts.
function revived(field) {
  if (field.type !== 'number') return field;
  return { ...field, values: field.values.map((value) => (value === null ? null : Number(value))) };
}

/** The frames that a panel draws: its query results transformed and with their configuration. */
export async function framesOf({ panel, frames }, theme) {
  const steps = (panel.transformations ?? []).filter((step) => !step.disabled);
  const missing = steps.filter((step) => !standardTransformersRegistry.getIfExists(step.id));
  if (missing.length) {
    throw new Error(`no such transformation here: ${missing.map((step) => step.id)}`);
  }
  const made = frames.map((frame) => toDataFrame({ ...frame, fields: frame.fields.map(revived) }));
  const context = { interpolate: (text) => text };
  const transformed = steps.length
    ? await lastValueFrom(transformDataFrame(steps, made, context))
    : made;
  const config = fieldConfig(panel);
  return applyFieldOverrides({
    data: transformed,
    fieldConfig: config,
    fieldConfigRegistry: registry(panel, config),
    replaceVariables: replaceField,
    theme,
    timeZone: TIME_ZONE,
  });
}

/** Grafana's time range of two Unix times in milliseconds. */
export function timeRange({ from, to }) {
  const range = { from: dateTime(from), to: dateTime(to) };
  return { ...range, raw: range };
}
