// The page: controls, figures with their descriptions and downloads, and the lines that compute a cell again.

const element = (id) => document.getElementById(id);
const chosen = { first: about.results[0].name, second: "", x: "", y: "", place: {} };

// Make an element with properties and children.
function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// The results that are shown, the axes that all of them have, and all axes of any.
function view() {
  const results = [resultOf(chosen.first), resultOf(chosen.second)].filter(Boolean);
  const every = [...new Set(results.flatMap((one) => one.axes))];
  return { results, every, shared: every.filter((name) => results.every((one) => one.axes.includes(name))) };
}

// Choose x and y among the axes that are there, and a place in the middle of an axis that has none.
function settle() {
  const { every, shared } = view();
  if (!shared.includes(chosen.x)) chosen.x = shared.find((name) => name !== chosen.y) ?? "";
  if (!shared.includes(chosen.y) || chosen.y === chosen.x) chosen.y = shared.find((name) => name !== chosen.x) ?? "";
  for (const name of every) chosen.place[name] ??= Math.floor((axisOf(name).at.length - 1) / 2);
}

const isMap = () => Boolean(chosen.x && chosen.y);

function select(label, id, options, value, change) {
  const made = make("select", { id });
  for (const [key, text] of options) made.append(make("option", { value: key, textContent: text, selected: key === value }));
  made.addEventListener("change", () => change(made.value));
  return make("label", {}, label, made);
}

// Build the controls for what is chosen; the one that has the focus keeps it.
function drawControls() {
  const focus = document.activeElement?.id;
  const { every, shared } = view();
  const called = (name, label) => (label.startsWith(name) ? label : `${name}: ${label}`);
  const named = about.results.map((one) => [one.name, called(one.name, one.label)]);
  const axes = shared.map((name) => [name, called(name, axisOf(name).label)]);
  const set = (change) => (value) => { change(value); settle(); drawControls(); draw(); };
  const choices = [select("Result", "first", named, chosen.first, set((value) => { chosen.first = value; }))];
  if (named.length > 1) {
    const others = [["", "nothing"], ...named];
    choices.push(select("Beside it", "second", others, chosen.second, set((value) => { chosen.second = value; })));
  }
  if (isMap()) {
    // An axis that is chosen twice changes places with the other.
    const swap = (one, other) => set((value) => {
      if (chosen[other] === value) chosen[other] = chosen[one];
      chosen[one] = value;
    });
    choices.push(select("Across", "x", axes, chosen.x, swap("x", "y")));
    choices.push(select("Up", "y", axes, chosen.y, swap("y", "x")));
  }
  element("choices").replaceChildren(element("choices").firstElementChild, ...choices);
  element("sliders").replaceChildren(element("sliders").firstElementChild, ...every.map(slider));
  if (focus) element(focus)?.focus();
}

function slider(name) {
  const axis = axisOf(name);
  const value = make("output", { id: `value-${name}` });
  const input = make("input", { type: "range", id: `at-${name}`, min: 0, max: axis.at.length - 1, step: 1 });
  input.disabled = axis.at.length < 2;
  input.addEventListener("input", () => move({ [name]: Number(input.value) }));
  return make("label", {}, make("span", {}, `${name}: ${axis.label}`, value), input);
}

// Go to a place; what is drawn follows once a frame.
let waiting = false;
function move(place) {
  Object.assign(chosen.place, place);
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

// A figure: its chart, a description for those who do not see it, and downloads of what it shows.
function figureIn(parent, key) {
  const id = `${parent.id}-${key}`;
  if (element(id)) return element(id);
  const chart = make("div", { className: "chart", id: `${id}-chart` });
  const about_ = make("figcaption", { id: `${id}-about` });
  chart.setAttribute("role", "img");
  chart.setAttribute("aria-labelledby", about_.id);
  const figure = make("figure", { id }, chart, about_);
  for (const format of ["CSV", "PNG", "SVG"]) {
    const button = make("button", { type: "button", textContent: format });
    button.addEventListener("click", () => download(figure, format.toLowerCase()));
    figure.append(button, " ");
  }
  parent.append(figure);
  return figure;
}

function download(figure, format) {
  const { name, results, places } = figure.shows;
  if (format !== "csv") {
    const { width, height } = figure.firstElementChild.getBoundingClientRect();
    return Plotly.downloadImage(figure.firstElementChild, { format, filename: name, width, height, scale: 2 });
  }
  const address = URL.createObjectURL(new Blob([table(results, places())], { type: "text/csv" }));
  make("a", { href: address, download: `${name}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

// Draw into a figure, and follow clicks on it.
function put(figure, { traces, layout }, description, shows, click) {
  const chart = figure.firstElementChild;
  figure.shows = shows;
  figure.children[1].textContent = description;
  Plotly.react(chart, traces, layout, { displayModeBar: false, responsive: true });
  chart.removeAllListeners("plotly_click");
  chart.on("plotly_click", ({ points: [point] }) => {
    click(point.pointIndex);
  });
}

// Draw all that depends on what is chosen.
function draw() {
  const { results, every, shared } = view();
  const { x, y, place } = chosen;
  for (const name of every) {
    element(`value-${name}`).textContent = axisOf(name).texts[place[name]];
    element(`at-${name}`).value = place[name];
    element(`at-${name}`).setAttribute("aria-valuetext", axisOf(name).texts[place[name]]);
  }
  const lines = results.map((one) => make("p", {}, `${one.name}: ${said(one, place)}`));
  element("reading").replaceChildren(make("p", {}, make("strong", {}, where(place, every))), ...lines);
  const kept = new Set();
  const keep = (figure) => { kept.add(figure.id); return figure; };
  if (isMap()) {
    results.forEach((result, k) => {
      const figure = keep(figureIn(element("maps"), k));
      const cells = () => axisOf(y).at.flatMap((_, j) => axisOf(x).at.map((_, i) => ({ ...place, [x]: i, [y]: j })));
      const shows = { name: `${result.name}-${x}-${y}`, results: [result], places: cells };
      const made = mapFigure(result, place, x, y, figure.clientWidth);
      put(figure, made, described(result, place, x, y), shows, ([j, i]) => move({ [x]: i, [y]: j }));
    });
  }
  for (const axis of isMap() ? [x, y] : shared.slice(0, 1)) {
    const figure = keep(figureIn(element("sections"), axis));
    const panels = panelsOf(results);
    const places = () => axisOf(axis).at.map((_, i) => ({ ...place, [axis]: i }));
    const listed = [...new Set(panels.flat())];
    const names = listed.map((one) => one.name).join(", ");
    const fixed = where(place, every.filter((name) => name !== axis));
    const description = `${names} along ${axis}${fixed && ` at ${fixed}`}; bars: ${about.level} intervals.`;
    const shows = { name: `section-${axis}`, results: listed, places };
    put(figure, sectionFigure(panels, place, axis, figure.clientWidth), description, shows, (i) => move({ [axis]: i }));
  }
  for (const figure of document.querySelectorAll("figure")) if (!kept.has(figure.id)) figure.remove();
  drawAgain(results[0]);
}

// The results of each panel of a cross-section: both test errors together, the gain below them.
function panelsOf(results) {
  const pair = about.pair.map(resultOf).filter((one) => one.axes.every((name) => name in chosen.place));
  const paired = (one) => pair.length === 2 && (one.name === "gain" || pair.includes(one));
  const panels = results.some(paired) ? [pair, ...[resultOf("gain")].filter(Boolean).map((one) => [one])] : [];
  return [...panels, ...results.filter((one) => !paired(one)).map((one) => [one])];
}

// What a map shows, for those who do not see it.
function described(result, place, x, y) {
  const states = planeOf(result, result.state, place, x, y).flat();
  const means = planeOf(result, result.mean, place, x, y).flat();
  const share = (test) => `${((100 * states.filter(test).length) / states.length).toFixed(0)}%`;
  const fixed = where(place, result.axes.filter((name) => name !== x && name !== y));
  const parts = [`Map of ${result.name} over ${x} (across) and ${y} (up)${fixed && ` at ${fixed}`}.`];
  if (result.signed) {
    const clear = (sign) => share((state, i) => state > UNCLEAR && sign * means[i] > 0);
    parts.push(`Clearly above 0 in ${clear(1)} of the cells, clearly below in ${clear(-1)}, unclear in `
      + `${share((state) => state === UNCLEAR)}.`);
  }
  const known = means.filter(Number.isFinite);
  if (known.length) {
    const end = (value) => {
      const i = means.indexOf(value);
      const [j, k] = [Math.floor(i / axisOf(x).at.length), i % axisOf(x).at.length];
      return `${written(value, null)} at ${where({ [x]: k, [y]: j }, [x, y])}`;
    };
    const [low, high] = known.reduce(([a, b], z) => [Math.min(a, z), Math.max(b, z)], [Infinity, -Infinity]);
    parts.push(`Lowest ${end(low)}; highest ${end(high)}.`);
  }
  for (const state of [DIVERGED, NOT_COMPUTED]) {
    const count = states.filter((one) => one === state).length;
    if (count) parts.push(`${about.states[state]}: ${count} of ${states.length} cells.`);
  }
  return parts.join(" ");
}

// The lines that compute the chosen cell again, each with a button that copies them.
function drawAgain(result) {
  const fields = { ...fieldsAt(chosen.place), result: result.name };
  for (const [key, template] of Object.entries(about.rerun)) {
    element(`again-${key}`).textContent = template.replace(/\{(\w+)\}/g, (all, name) => fields[name] ?? all);
  }
}

function makeAgain() {
  for (const key of ["command", "python"].filter((name) => name in about.rerun)) {
    const lines = make("pre", { id: `again-${key}`, tabIndex: 0 });
    lines.setAttribute("aria-label", key === "python" ? "Python lines" : "Command");
    const button = make("button", { type: "button", id: `copy-${key}`,
      textContent: key === "python" ? "Copy the Python lines" : "Copy the command" });
    const said_ = make("span", { className: "quiet" });
    said_.setAttribute("role", "status");
    button.addEventListener("click", () => copy(lines).then((text) => { said_.textContent = ` ${text}`; }));
    element("again").append(lines, make("p", {}, button, said_));
    element("again").hidden = false;
  }
}

// Copy the lines, or select them where a browser does not let a page copy.
async function copy(lines) {
  try {
    await navigator.clipboard.writeText(lines.textContent);
    return "copied";
  } catch {
    getSelection().selectAllChildren(lines);
    return "selected: press Ctrl+C or Command+C";
  }
}

async function open() {
  if (!window.DecompressionStream) throw new Error("it is older than 2023: use a newer one");
  const library = new TextDecoder().decode(await unpack("library"));
  document.head.append(make("script", { textContent: library }));
  attach(await unpack("numbers"));
  document.title = element("title").textContent = about.title;
  element("settings").textContent = about.settings.join(", ");
  settle();
  makeAgain();
  drawControls();
  for (const id of ["controls", "reading"]) element(id).hidden = false;
  element("status").hidden = true;
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  document.body.dataset.ready = "yes";
}

open().catch((error) => { element("status").textContent = `This browser cannot show the page: ${error.message}.`; });
