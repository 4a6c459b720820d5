// The panels that @grafana/ui exports: these are drawn by Grafana's own components.

import {
  cacheFieldDisplayNames,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  renderTextPanelMarkdown,
} from '@grafana/data';
import { BarGauge, BigValue, TimeSeries, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

import { TIME_ZONE, fieldConfig, replaceField } from './data.js';

/** The values that a stat, a gauge or a bar gauge shows, one for each series and calculation. */
export function displayValues(panel, frames, theme, more = {}) {
  const { calcs = ['lastNotNull'], ...reduce } = panel.options?.reduceOptions ?? {};
  return getFieldDisplayValues({
    fieldConfig: fieldConfig(panel),
    reduceOptions: { calcs, ...reduce },
    replaceVariables: replaceField,
    theme,
    data: frames,
    timeZone: TIME_ZONE,
    ...more,
  });
}

export function TimeSeriesPanel({ panel, frames, range, width, height }) {
  const { legend = {} } = panel.options ?? {};
  const drawn = frames.filter((frame) => frame.fields.some((field) => field.type === 'time'));
  return (
    <TimeSeries
      frames={drawn}
      structureRev={1}
      timeRange={range}
      timeZone={TIME_ZONE}
      width={width}
      height={height}
      legend={{ showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [], ...legend }}
      options={panel.options}
    />
  );
}

export function Repeated({ values, panel, width, height, children, ...more }) {
  return (
    <VizRepeater
      getValues={() => values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={children}
      width={width}
      height={height}
      source={values}
      renderCounter={1}
      orientation={panel.options?.orientation ?? 'auto'}
      {...more}
    />
  );
}

export function StatPanel({ panel, frames, range, theme, width, height }) {
  const options = panel.options ?? {};
  const graphMode = options.graphMode ?? 'area';
  const values = displayValues(panel, frames, theme, {
    sparkline: graphMode !== 'none',
    percentChange: options.showPercentChange,
  });
  return (
    <Repeated values={values} panel={panel} width={width} height={height} autoGrid>
      {({ value, alignmentFactors, count, width, height }) => (
        <BigValue
          value={value.display}
          count={count}
          sparkline={value.sparkline && { ...value.sparkline, timeRange: range }}
          colorMode={options.colorMode ?? 'value'}
          graphMode={graphMode}
          justifyMode={options.justifyMode ?? 'auto'}
          textMode={options.textMode ?? 'auto'}
          percentChangeColorMode={options.percentChangeColorMode}
          alignmentFactors={alignmentFactors}
          text={options.text}
          width={width}
          height={height}
          theme={theme}
          disableWideLayout={options.wideLayout === false}
        />
      )}
    </Repeated>
  );
}

export function BarGaugePanel({ panel, frames, theme, width, height }) {
  const options = panel.options ?? {};
  const values = displayValues(panel, frames, theme);
  const horizontal = (options.orientation ?? 'auto') !== 'vertical';
  return (
    <Repeated
      values={values}
      panel={panel}
      width={width}
      height={height}
      minVizHeight={options.minVizHeight ?? 16}
      maxVizHeight={horizontal ? options.maxVizHeight ?? 300 : undefined}
      minVizWidth={options.minVizWidth ?? 8}
      itemSpacing={options.displayMode === 'lcd' ? 2 : 10}
    >
      {({ value, alignmentFactors, orientation, width, height }) => (
        <BarGauge
          value={value.display}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          orientation={orientation}
          displayMode={options.displayMode ?? 'gradient'}
          showUnfilled={options.showUnfilled ?? true}
          valueDisplayMode={options.valueMode}
          namePlacement={options.namePlacement}
          text={options.text}
          alignmentFactors={alignmentFactors}
          width={width}
          height={height}
          theme={theme}
        />
      )}
    </Repeated>
  );
}

export function TablePanel({ panel, frames, range, width, height }) {
  const options = panel.options ?? {};
  cacheFieldDisplayNames(frames);
  const whole = frames[options.frameIndex ?? 0] ?? frames[0];
  const hidden = ({ config: { custom } }) => custom?.hidden || custom?.hideFrom?.viz;
  const frame = { ...whole, fields: whole.fields.filter((field) => !hidden(field)) };
  return (
    <TableNG
      data={frame}
      width={width}
      height={height}
      noHeader={options.showHeader === false}
      sortBy={options.sortBy}
      cellHeight={options.cellHeight ?? 'sm'}
      timeRange={range}
      structureRev={1}
      fieldConfig={fieldConfig(panel)}
      resizable={false}
      enableVirtualization={false}
    />
  );
}

export function TextPanel({ panel }) {
  const html = renderTextPanelMarkdown(panel.options?.content ?? '');
  return <div className="markdown-html" dangerouslySetInnerHTML={{ __html: html }} />;
}
