// State timeline and heat map. @grafana/ui does not export Grafana's, so these drawings are ours;
// texts and colours of values come from @grafana/data.

import { formattedValueToString, getFieldDisplayName } from '@grafana/data';
import * as chromatic from 'd3-scale-chromatic';

import { timeTicks } from './axis.js';
import { WithLegend } from './ours.jsx';
import { shortened } from './shapes.js';

const AXIS = 24;

/** One named row of values at times, for each field that is no time. */
function rowsOf(frames) {
  return frames.flatMap((frame) => {
    const time = frame.fields.find((field) => field.type === 'time');
    return frame.fields
      .filter((field) => time && field !== time && !field.config.custom?.hideFrom?.viz)
      .map((field) => ({
        name: getFieldDisplayName(field, frame, frames),
        field,
        times: time.values,
        interval: time.config.interval,
      }));
  });
}

function TimeAxis({ range, left, width, top, height, theme }) {
  const [from, to] = [range.from.valueOf(), range.to.valueOf()];
  return timeTicks(from, to, width).map(({ at, text }) => {
    const x = left + ((at - from) / (to - from)) * width;
    return (
      <g key={at}>
        <line x1={x} x2={x} y1={top} y2={top + height} stroke={theme.colors.border.weak} />
        <text x={x} y={top + height + 17} textAnchor="middle" fontSize="12" fill={theme.colors.text.primary}>
          {text}
        </text>
      </g>
    );
  });
}

/** Runs of the same state: [{from, to, shown}], broken where a point is missing. */
function runs({ field, times, interval }, merge) {
  const found = [];
  times.forEach((time, index) => {
    const value = field.values[index];
    const last = found.at(-1);
    const until = time + (interval ?? 0);
    if (value === null || value === undefined || Number.isNaN(value)) return;
    const shown = field.display(value);
    const text = formattedValueToString(shown);
    const near = last && time - last.to <= (interval ?? 0) * 0.5;
    if (near && merge && last.text === text) last.to = until;
    else found.push({ from: near ? last.to : time, to: until, text, color: shown.color });
  });
  return found;
}

/** Where colours come from thresholds and no value has a text of its own, the legend is of ranges. */
function thresholdItems(rows, theme) {
  const { color, mappings, thresholds } = rows[0].field.config;
  if (color?.mode !== 'thresholds' || mappings?.length) return null;
  const { steps } = thresholds;
  const text = (value) => formattedValueToString(rows[0].field.display(value));
  return steps.map((step, index) => ({
    label: index === steps.length - 1 ? `${text(step.value)}+` : `< ${text(steps[index + 1].value)}`,
    color: theme.visualization.getColorByName(step.color),
    yAxis: 1,
  }));
}

export function StateTimelinePanel({ panel, frames, range, theme, width, height }) {
  const options = panel.options ?? {};
  const rows = rowsOf(frames);
  const [from, to] = [range.from.valueOf(), range.to.valueOf()];
  const states = rows.map((row) => runs(row, options.mergeValues ?? true));
  const items = thresholdItems(rows, theme) ?? [...new Map(states.flat().map((state) => [state.text, state.color]))].map(([label, color]) => ({ label, color, yAxis: 1 }));
  const left = Math.min(width * 0.35, 16 + 7 * Math.max(...rows.map((row) => row.name.length), 1));
  const opacity = (row) => (row.field.config.custom?.fillOpacity ?? 70) / 100;
  return (
    <WithLegend options={options.legend} items={items} width={width} height={height}>
      {(width, height) => {
        const [room, each] = [width - left - 8, (height - AXIS) / rows.length];
        const thick = each * (options.rowHeight ?? 0.9);
        return (
          <svg width={width} height={height} fontSize="12" fill={theme.colors.text.primary}>
            <TimeAxis range={range} left={left} width={room} top={0} height={height - AXIS} theme={theme} />
            {rows.map((row, index) => (
              <g key={row.name}>
                <text x={left - 8} y={index * each + each / 2 + 4} textAnchor="end">{shortened(row.name, left - 8)}</text>
                {states[index].map((state) => {
                  const x = left + ((Math.max(from, state.from) - from) / (to - from)) * room;
                  const end = left + ((Math.min(to, state.to) - from) / (to - from)) * room;
                  const wide = end - x > state.text.length * 7 + 8 && thick > 13;
                  const show = options.showValue === 'always' || (wide && options.showValue !== 'never');
                  return (
                    <g key={state.from}>
                      <rect x={x} y={index * each + (each - thick) / 2} width={Math.max(0, end - x)} height={thick} fill={state.color} fillOpacity={opacity(row)} />
                      {show && <text x={(x + end) / 2} y={index * each + each / 2 + 4} textAnchor="middle">{state.text}</text>}
                    </g>
                  );
                })}
              </g>
            ))}
          </svg>
        );
      }}
    </WithLegend>
  );
}

/** Colour of a share 0 to 1 as the panel's colour options have it. */
function colouring({ scheme = 'Oranges', reverse, mode = 'scheme', fill = 'dark-orange', exponent = 0.5 }, theme) {
  if (mode === 'opacity') {
    const base = theme.visualization.getColorByName(fill);
    return (share) => ({ fill: base, fillOpacity: Math.max(0.05, share ** exponent) });
  }
  const scale = chromatic[`interpolate${scheme}`] ?? chromatic.interpolateOranges;
  // On a dark background Grafana turns all schemes round but these.
  const kept = ['Turbo', 'Cividis', 'Viridis', 'Magma', 'Inferno', 'Plasma', 'Warm', 'Cool', 'Cubehelix'];
  const turned = reverse || !kept.includes(scheme);
  return (share) => ({ fill: scale(turned ? 1 - share : share) });
}

export function HeatmapPanel({ panel, frames, range, theme, width, height }) {
  const options = panel.options ?? {};
  const rows = rowsOf(frames);
  // As Grafana does: rows named by numbers stand in their order, others as the query gave them.
  if (rows.every((row) => row.name !== '' && Number.isFinite(Number(row.name)))) {
    rows.sort((one, other) => Number(one.name) - Number(other.name));
  }
  const [from, to] = [range.from.valueOf(), range.to.valueOf()];
  const numbers = rows.flatMap((row) => row.field.values).filter(Number.isFinite);
  const low = options.color?.min ?? Math.min(...numbers);
  const high = options.color?.max ?? Math.max(...numbers);
  const colour = colouring(options.color ?? {}, theme);
  const share = (value) => Math.min(1, Math.max(0, (value - low) / (high - low || 1)));
  const left = Math.min(width * 0.3, 16 + 7 * Math.max(...rows.map((row) => row.name.length), 1));
  const room = width - left - 8;
  const scale = options.legend?.show === false ? 0 : 30;
  const each = (height - AXIS - scale) / rows.length;
  const written = (value) => formattedValueToString(rows[0].field.display(value));
  return (
    <svg width={width} height={height} fontSize="12" fill={theme.colors.text.primary}>
      <TimeAxis range={range} left={left} width={room} top={0} height={height - AXIS - scale} theme={theme} />
      {rows.map((row, index) => {
        const y = (rows.length - 1 - index) * each; // the first series lies at the bottom
        const every = Math.max(1, Math.ceil(14 / each));
        return (
          <g key={row.name}>
            {index % every === 0 && <text x={left - 8} y={y + each / 2 + 4} textAnchor="end">{shortened(row.name, left - 8)}</text>}
            {row.times.map((time, point) => {
              const value = row.field.values[point];
              const end = left + ((time - from) / (to - from)) * room; // a cell ends at its time
              const begin = Math.max(left, end - ((row.interval ?? 0) / (to - from)) * room);
              if (!Number.isFinite(value) || end <= left) return null;
              return <rect key={time} x={begin} y={y} width={Math.max(1, end - begin - 0.5)} height={Math.max(1, each - 0.5)} {...colour(share(value))} />;
            })}
          </g>
        );
      })}
      {scale > 0 && rows.length > 0 && (
        <g transform={`translate(${left},${height - 22})`}>
          {Array.from({ length: 60 }, (_, step) => (
            <rect key={step} x={step * 4} y="0" width="4.2" height="8" {...colour(step / 59)} />
          ))}
          <text x="0" y="21">{written(low)}</text>
          <text x="240" y="21" textAnchor="end">{written(high)}</text>
        </g>
      )}
    </svg>
  );
}
