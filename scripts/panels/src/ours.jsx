// The panels that @grafana/ui does not export (gauge, pie chart, bar chart). These drawings are
// ours: units, colours, mappings and names come from @grafana/data, the shapes only resemble
// Grafana's. The state timeline and the heat map are in rows.jsx.

import { formattedValueToString, getFieldDisplayName } from '@grafana/data';
import { VizLegend } from '@grafana/ui';

import { Repeated, displayValues } from './grafana.jsx';
import { arc as arcOf, shortened } from './shapes.js';

/** A legend below a drawing; returns the height that is left for the drawing itself. */
export function WithLegend({ options, items, width, height, children }) {
  const { showLegend = true, placement = 'bottom', displayMode = 'list', values } = options ?? {};
  if (!showLegend || !items.length) return children(width, height);
  const right = placement === 'right';
  const lines = Math.ceil(items.reduce((sum, item) => sum + item.label.length * 7 + 40, 0) / width);
  const used = right ? Math.min(width * 0.45, 260) : Math.min(height * 0.4, 10 + 22 * lines);
  return (
    <div style={{ display: 'flex', flexDirection: right ? 'row' : 'column', width, height }}>
      {children(right ? width - used : width, right ? height : height - used)}
      <div style={{ flex: '1 1 0', overflow: 'hidden' }}>
        <VizLegend placement={placement} displayMode={displayMode} items={items} values={values} />
      </div>
    </div>
  );
}

export function GaugePanel({ panel, frames, theme, width, height }) {
  const values = displayValues(panel, frames, theme);
  return (
    <Repeated values={values} panel={panel} width={width} height={height} autoGrid>
      {({ value, count, width, height }) => (
        <Dial value={value} named={count > 1} theme={theme} width={width} height={height} panel={panel} />
      )}
    </Repeated>
  );
}

function Dial({ value, named, theme, width, height, panel }) {
  const { display, field } = value;
  const text = formattedValueToString(display);
  const title = named ? display.title : '';
  const below = title ? 22 : 0;
  const radius = Math.max(20, Math.min(width / 2 - 6, (height - below - 6) / 1.6));
  const [x, y] = [width / 2, radius + 3];
  const [min, max] = [field.min ?? 0, field.max ?? 100];
  const share = Math.min(1, Math.max(0, (display.numeric - min) / (max - min || 1)));
  const [begin, end] = [-2, 2]; // radians from the top, about 230 degrees in all
  const at = (part) => begin + (end - begin) * part;
  const steps = panel.options?.showThresholdMarkers === false ? [] : field.thresholds?.steps ?? [];
  const place = (number) => Math.min(1, Math.max(0, (number - min) / (max - min || 1)));
  const percent = field.thresholds?.mode === 'percentage';
  const from = (step) => (Number.isFinite(step.value) ? (percent ? step.value / 100 : place(step.value)) : 0);
  return (
    <svg width={width} height={height}>
      <path d={arcOf(x, y, radius * 0.72, radius * 0.93, at(0), at(1))} fill={theme.colors.background.secondary} />
      {share > 0 && (
        <path d={arcOf(x, y, radius * 0.72, radius * 0.93, at(0), at(share))} fill={display.color} />
      )}
      {steps.map((step, index) => {
        const next = steps[index + 1];
        const [low, high] = [from(step), next ? from(next) : 1];
        const fill = theme.visualization.getColorByName(step.color);
        return high > low && <path key={index} d={arcOf(x, y, radius * 0.95, radius, at(low), at(high))} fill={fill} />;
      })}
      <text x={x} y={y + radius * 0.12} textAnchor="middle" fill={display.color} fontWeight="500" fontSize={Math.min(radius * 0.42, (radius * 2) / text.length)}>
        {text}
      </text>
      {title && (
        <text x={x} y={height - 6} textAnchor="middle" fontSize="14" fill={theme.colors.text.primary}>
          {title}
        </text>
      )}
    </svg>
  );
}

export function PiePanel({ panel, frames, theme, width, height }) {
  const options = panel.options ?? {};
  const values = displayValues(panel, frames, theme).filter((value) => value.display.numeric > 0);
  const total = values.reduce((sum, value) => sum + value.display.numeric, 0);
  const shown = options.legend?.values ?? [];
  const items = values.map(({ display }) => {
    const percent = { numeric: 0, title: 'Percent', text: `${Math.round((display.numeric / total) * 100)}%` };
    return {
      label: display.title,
      color: display.color,
      yAxis: 1,
      getItemKey: () => display.title,
      getDisplayValues: () => [
        ...(shown.includes('percent') ? [percent] : []),
        ...(shown.includes('value') ? [{ ...display, title: 'Value' }] : []),
      ],
    };
  });
  let begin = 0;
  return (
    <WithLegend options={options.legend} items={items} width={width} height={height}>
      {(width, height) => {
        const radius = Math.min(width, height) / 2 - 8;
        const inner = options.pieType === 'donut' ? radius * 0.6 : 0;
        return (
          <svg width={width} height={height}>
            {values.map(({ display }) => {
              const end = begin + (display.numeric / total) * 2 * Math.PI * 0.99999;
              const path = arcOf(width / 2, height / 2, inner, radius, begin, end);
              begin = end;
              return <path key={display.title} d={path} fill={display.color} stroke={theme.colors.background.primary} strokeWidth="2" />;
            })}
          </svg>
        );
      }}
    </WithLegend>
  );
}

/** The grid of upright bars: a line and a figure at each round amount. */
function Levels({ largest, room, width, left, field, theme }) {
  const rough = (largest || 1) / 4;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * size).find((one) => one >= rough);
  const levels = [];
  for (let at = 0; at <= (largest || 1); at += step) levels.push(at);
  return levels.map((at) => {
    const y = 20 + room * (1 - at / (largest || 1));
    return (
      <g key={at}>
        <line x1={left} x2={width} y1={y} y2={y} stroke={theme.colors.border.weak} />
        <text x={left - 6} y={y + 4} textAnchor="end">{formattedValueToString(field.display(at))}</text>
      </g>
    );
  });
}

export function BarChartPanel({ panel, frames, theme, width, height }) {
  const options = panel.options ?? {};
  const frame = frames[0];
  const all = frames.flatMap((one) => one.fields);
  const named = options.xField && all.find((field) => getFieldDisplayName(field, frame, frames) === options.xField);
  const x = named ?? frame.fields.find((field) => field.type === 'string') ?? frame.fields[0];
  const bars = all.filter((field) => field.type === 'number' && field !== x && !field.config.custom?.hideFrom?.viz);
  const across = options.orientation === 'horizontal';
  const stacked = options.stacking && options.stacking !== 'none';
  const label = (index) => formattedValueToString(x.display(x.values[index]));
  const sum = (index) => bars.reduce((total, field) => total + Math.max(0, field.values[index] ?? 0), 0);
  const count = x.values.length;
  const largest = Math.max(...Array.from({ length: count }, (_, index) => (stacked ? sum(index) : Math.max(...bars.map((field) => field.values[index] ?? 0)))), 0);
  const items = bars.map((field) => ({ label: getFieldDisplayName(field, frame, frames), color: field.display(0).color ?? '#888', yAxis: 1 }));
  const color = (field, value) => {
    const mode = field.config.color?.mode ?? '';
    return mode === 'thresholds' || mode.startsWith('continuous') ? field.display(value).color : field.display(0).color;
  };
  const legend = { ...options.legend, showLegend: (options.legend?.showLegend ?? true) && bars.length > 1 };
  return (
    <WithLegend options={legend} items={items} width={width} height={height}>
      {(width, height) => {
        const left = across ? Math.min(width * 0.4, 12 + 7 * Math.max(...Array.from({ length: count }, (_, i) => label(i).length), 1)) : 70;
        const [room, slot] = across ? [width - left - 80, (height - 4) / count] : [height - 44, (width - left) / count];
        const thick = slot * (options.groupWidth ?? 0.7);
        return (
          <svg width={width} height={height} fontSize="12" fill={theme.colors.text.primary}>
            {!across && <Levels largest={largest} room={room} width={width} left={left} field={bars[0]} theme={theme} />}
            {Array.from({ length: count }, (_, index) => {
              let from = 0;
              return bars.map((field, which) => {
                const value = field.values[index];
                if (value == null) return null;
                const size = (Math.max(0, value) / (largest || 1)) * room;
                const each = stacked ? thick : thick / bars.length;
                const side = index * slot + (slot - thick) / 2 + (stacked ? 0 : which * each);
                const start = stacked ? from : 0;
                from += size;
                const text = formattedValueToString(field.display(value));
                const write = options.showValue !== 'never' && !stacked && each > 9;
                return across ? (
                  <g key={`${index}-${which}`}>
                    {which === 0 && <text x={left - 8} y={index * slot + slot / 2 + 4} textAnchor="end">{shortened(label(index), left - 8)}</text>}
                    <rect x={left + start} y={side} width={size} height={each * 0.95} fill={color(field, value)} />
                    {write && <text x={left + size + 6} y={side + each / 2 + 4}>{text}</text>}
                  </g>
                ) : (
                  <g key={`${index}-${which}`}>
                    {which === 0 && <text x={left + index * slot + slot / 2} y={height - 6} textAnchor="middle">{shortened(label(index), slot)}</text>}
                    <rect x={left + side} y={20 + room - start - size} width={each * 0.95} height={size} fill={color(field, value)} />
                    {write && <text x={left + side + each / 2} y={14 + room - size} textAnchor="middle">{text}</text>}
                  </g>
                );
              });
            })}
          </svg>
        );
      }}
    </WithLegend>
  );
}
