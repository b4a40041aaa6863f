// What plotly draws: maps and cross-sections, from the numbers at a place.

const LINES = [
  { color: "#2ca02c", width: 2.5, dash: "dash" },
  { color: "#1f77b4", width: 2.5, dash: "dot" },
];
// Of the results in a section, at most four: both errors, the gain and another one. The first three, or the last two,
// may share a panel: these differ also for the colour-blind. All have a contrast of 3 or more on both papers.
const SERIES = [
  { color: "#d95f02", symbol: "circle", dash: "solid" },
  { color: "#4a8fd0", symbol: "square", dash: "dash" },
  { color: "#009e73", symbol: "diamond", dash: "dot" },
  { color: "#9467bd", symbol: "triangle-up", dash: "dashdot" },
];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const safe = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;");

// A text on lines of at most so many characters.
function folded(text, most) {
  const lines = [""];
  for (const word of text.split(" ")) {
    if (lines.at(-1) && lines.at(-1).length + word.length >= most) lines.push("");
    lines.push(`${lines.pop()} ${word}`.trim());
  }
  return lines.map(safe).join("<br>");
}

// 1, 2 and 5 times the powers of ten on a short logarithmic axis; none on a long one, which has room for powers alone.
function oneTwoFive(low, high) {
  if (high / low > 3000) return [];
  const powers = Array.from({ length: 7 }, (_, k) => Math.floor(Math.log10(low)) + k);
  const all = powers.flatMap((power) => [1, 2, 5].map((digit) => Number(`${digit}e${power}`)));
  return all.filter((tick) => low <= tick && tick <= high);
}

function axisLayout(name, width) {
  const axis = axisOf(name);
  const ends = [axis.edges[0], axis.edges.at(-1)];
  const ticks = axis.log ? oneTwoFive(...ends) : [];
  const labels = axis.number ? {} : { tickvals: axis.at, ticktext: axis.texts.map(safe) };
  if (ticks.length) Object.assign(labels, { tickvals: ticks, ticktext: ticks.map(String) });
  return {
    title: { text: folded(axis.label, width / 8) },
    type: axis.log ? "log" : "linear",
    range: axis.log ? ends.map(Math.log10) : ends,
    fixedrange: true,
    automargin: true,
    zeroline: false,
    showgrid: false,
    ...labels,
  };
}

// The title is an annotation: plotly makes no room for a title of several lines.
function commonLayout(title, width) {
  const text = folded(title, (width - 110) / 8); // of the room right of the labels up the plane
  const lines = text.split("<br>").length;
  return {
    annotations: [
      {
        text,
        font: { size: 15 },
        align: "left",
        showarrow: false,
        xref: "paper",
        x: 0,
        xanchor: "left",
        yref: "paper",
        y: 1,
        yanchor: "bottom",
        yshift: 4,
      },
    ],
    font: { color: colour("ink"), size: 12 },
    paper_bgcolor: colour("paper"),
    dragmode: false,
    hoverlabel: { align: "left" },
    legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0 },
    margin: { l: 10, r: 10, t: 20 + 19 * lines, b: 10 },
  };
}

// The values of an array over a plane: rows along y, from x to x.
function planeOf(one, values, place, x, y) {
  const start = indexOf(one, { ...place, [x]: 0, [y]: 0 });
  return axisOf(y).at.map((_, j) =>
    axisOf(x).at.map((_, i) => values[start + j * one.stride[y] + i * one.stride[x]]),
  );
}

const finite = (plane) => plane.map((row) => row.map((value) => (Number.isFinite(value) ? value : null)));

// How often neighbours differ in sign. The time in which plotly joins the pieces of a zero line grows with its square.
const MOST_CROSSINGS = 4000;
function crossings(plane) {
  const differ = (a, b) => (Math.sign(a) * Math.sign(b) < 0 ? 1 : 0);
  const count = (row, j) =>
    row.reduce(
      (sum, z, i) => sum + differ(z, row[i + 1]) + (j + 1 < plane.length ? differ(z, plane[j + 1][i]) : 0),
      0,
    );
  return plane.reduce((sum, row, j) => sum + count(row, j), 0);
}

// The outlines of the cells of a state, those side by side as one, hatched with a pattern of plotly.
function hatch(states, state, x, y, name, pattern) {
  const [right, top] = [axisOf(x).edges, axisOf(y).edges];
  const outline = { x: [], y: [] };
  states.forEach((row, j) => {
    for (let i = 0; i < row.length; i++) {
      if (row[i] !== state) continue;
      const start = i;
      while (row[i + 1] === state) i++;
      outline.x.push(right[start], right[i + 1], right[i + 1], right[start], right[start], null);
      outline.y.push(top[j], top[j], top[j + 1], top[j + 1], top[j], null);
    }
  });
  if (!outline.x.length) return [];
  return [
    {
      ...outline,
      name,
      type: "scatter",
      mode: "lines",
      line: { width: 0 },
      fill: "toself",
      hoverinfo: "skip",
      fillcolor: pattern.bgcolor,
      fillpattern: { fillmode: "replace", size: 7, solidity: 0.18, ...pattern },
    },
  ];
}

function zeroLine(plane, x, y, name, line) {
  const count = Math.min(plane.length, plane[0].length) < 2 ? 0 : crossings(plane);
  if (count > MOST_CROSSINGS) {
    return [{ type: "scatter", x: [null], y: [null], mode: "lines", line, name: `${safe(name)}: too ragged to draw` }];
  }
  if (!count) return [];
  return [
    {
      type: "contour",
      x: axisOf(x).at,
      y: axisOf(y).at,
      z: finite(plane),
      name: safe(name),
      line: { ...line, smoothing: 0 },
      showlegend: true,
      showscale: false,
      autocontour: false,
      contours: { start: 0, end: 0, size: 1, coloring: "none" },
      hoverinfo: "skip",
    },
  ];
}

// A map of a result over x and y: colours, hatches, zero lines, and a mark around the chosen cell.
function mapFigure(result, place, x, y, width) {
  const plane = planeOf(result, result.mean, place, x, y);
  const states = planeOf(result, result.state, place, x, y);
  const text = states.map((row, j) =>
    row.map((_, i) => {
      const here = { ...place, [x]: i, [y]: j };
      const fields = Object.entries(fieldsAt(here)).map(([name, value]) => `${safe(name)} = ${shown(value)}`);
      return `<b>${said(result, here)}</b><br>${fields.join("<br>")}`;
    }),
  );
  const traces = [
    {
      type: "heatmap",
      x: axisOf(x).edges,
      y: axisOf(y).edges,
      z: finite(plane),
      text,
      zmin: result.limits[0],
      zmax: result.limits[1],
      hovertemplate: "%{text}<extra></extra>",
      colorscale: result.colours.map((one, i) => [i / (result.colours.length - 1), one]),
      colorbar: { thickness: 12, outlinewidth: 0, xpad: 6 },
    },
  ];
  traces.push(...hatch(states, NOT_COMPUTED, x, y, "not computed", { shape: ".", fgcolor: "#666", bgcolor: "#fff" }));
  traces.push(...hatch(states, DIVERGED, x, y, "diverged", { shape: "x", fgcolor: "#444", bgcolor: "#d5d5d5" }));
  if (result.signed) {
    const why = `unclear: ${about.level} interval includes 0`;
    traces.push(...hatch(states, UNCLEAR, x, y, why, { shape: "/", fgcolor: "#444", bgcolor: "rgba(0,0,0,0)" }));
    traces.push(...zeroLine(plane, x, y, `${result.name} 0`, { color: "#000", width: 2 }));
  }
  if (result.name === "gain") {
    about.lines.forEach((line, k) =>
      traces.push(...zeroLine(planeOf(line, line.mean, place, x, y), x, y, line.name, LINES[k % LINES.length])),
    );
  }
  const at = (name) => axisOf(name).at[place[name]];
  traces.push({
    type: "scatter",
    x: [at(x), at(x)],
    y: [at(y), at(y)],
    mode: "markers",
    hoverinfo: "skip",
    showlegend: false,
    marker: { symbol: "circle-open", size: [15, 11], color: ["#fff", "#000"], line: { width: 2.5 } },
    cliponaxis: false,
  });
  const named = traces.filter((one) => one.name).length;
  const common = commonLayout(result.label, width);
  const layout = {
    ...common,
    // In a narrow legend each entry has a line of its own.
    height: Math.max(310, Math.min(520, width * 0.85)) + (width < 480 ? 19 * named : 40),
    plot_bgcolor: "#d5d5d5",
    xaxis: axisLayout(x, width),
    yaxis: axisLayout(y, 210),
    showlegend: named > 0,
    // The lines and hatches are dark in both themes, as the map below them is light.
    legend: { ...common.legend, bgcolor: "#f4f4f4", font: { color: "#1a1a1a" } },
  };
  return { traces, layout };
}

const shown = (value) => (typeof value === "number" ? Number(value.toPrecision(6)) : safe(value ?? "-"));

// Cross-sections along one axis: in each panel one or several results with their intervals.
function sectionFigure(panels, place, x, title, width) {
  const axis = axisOf(x);
  const traces = [];
  const layout = {
    ...commonLayout(title, width),
    height: 110 + 160 * panels.length,
    plot_bgcolor: colour("paper"),
    xaxis: { ...axisLayout(x, width), anchor: `y${panels.length}`, gridcolor: colour("rule"), showgrid: true },
    showlegend: true,
    shapes: [
      {
        type: "line",
        xref: "x",
        yref: "paper",
        x0: axis.at[place[x]],
        x1: axis.at[place[x]],
        y0: 0,
        y1: 1,
        line: { color: colour("accent"), width: 1.5, dash: "dot" },
      },
    ],
  };
  let drawn = 0;
  panels.forEach((results, k) => {
    const [low, gap] = [1 - (k + 1) / panels.length, 0.06];
    layout[`yaxis${k + 1}`] = {
      domain: [low + (k + 1 < panels.length ? gap : 0), low + 1 / panels.length],
      fixedrange: true,
      automargin: true,
      gridcolor: colour("rule"),
      zerolinecolor: colour("ink"),
      title: { text: safe(results.length > 1 ? kindOf(results[0]) : results[0].name) },
    };
    for (const result of results) {
      const cells = axis.at.map((_, i) => cellOf(result, { ...place, [x]: i }));
      const style = SERIES[drawn++ % SERIES.length];
      traces.push({
        type: "scatter",
        mode: "lines+markers",
        x: axis.at,
        y: cells.map((cell) => cell.mean),
        yaxis: `y${k + 1}`,
        name: safe(result.name),
        text: axis.at.map((_, i) => `${safe(x)} = ${safe(axis.texts[i])}<br>${said(result, { ...place, [x]: i })}`),
        hovertemplate: "%{text}<extra>%{fullData.name}</extra>",
        line: { color: style.color, dash: style.dash },
        marker: { symbol: style.symbol, size: 7, color: style.color },
        error_y: {
          type: "data",
          array: cells.map((cell) => cell.half ?? 0),
          color: style.color,
          thickness: 1.2,
          width: 3,
        },
      });
    }
  });
  return { traces, layout };
}
