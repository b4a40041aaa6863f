// The page: figures with their descriptions and downloads, and the lines that compute a cell again.

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
  chart.style.height = `${layout.height}px`; // plotly forgets its own when the window changes
  Plotly.react(chart, traces, layout, { displayModeBar: false, responsive: true });
  chart.removeAllListeners("plotly_click");
  chart.on("plotly_click", ({ points: [point] }) => click(point.pointIndex));
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
  const kept = [];
  if (isMap()) {
    results.forEach((result, k) => {
      const figure = figureIn(element("maps"), k);
      kept.push(figure);
      const cells = () => axisOf(y).at.flatMap((_, j) => axisOf(x).at.map((_, i) => ({ ...place, [x]: i, [y]: j })));
      const shows = { name: `${result.name}-${x}-${y}`, results: [result], places: cells };
      const made = mapFigure(result, place, x, y, figure.clientWidth);
      put(figure, made, described(result, place, x, y), shows, ([j, i]) => move({ [x]: i, [y]: j }));
    });
  }
  for (const axis of isMap() ? [x, y] : shared.slice(0, 1)) {
    const figure = figureIn(element("sections"), axis);
    kept.push(figure);
    if (axis === x && figure.previousElementSibling) element("sections").prepend(figure);
    const panels = panelsOf(results);
    const places = () => axisOf(axis).at.map((_, i) => ({ ...place, [axis]: i }));
    const listed = [...new Set(panels.flat())];
    const names = listed.map((one) => one.name).join(", ");
    const fixed = atOthers(place, every, [axis]);
    const bars = about.predicted ? "" : `; bars: ${about.level} intervals`;
    const description = `${names} along ${axis}${fixed}${bars}.`;
    const shows = { name: `section-${axis}`, results: listed, places };
    const made = sectionFigure(panels, place, axis, `Along ${axis}${fixed}`, figure.clientWidth);
    put(figure, made, description, shows, (i) => move({ [axis]: i }));
  }
  for (const figure of document.querySelectorAll("figure")) if (!kept.includes(figure)) figure.remove();
  drawAgain(results[0]);
  remember();
}

// The results of each panel of a cross-section: test errors together, the gain below them; those of all datasets.
function panelsOf(results) {
  const pair = about.pair.map(resultOf).filter((one) => one.axes.every((name) => name in chosen.place));
  const paired = (one) => pair.length === 2 && (one.name === "gain" || pair.includes(one));
  const first = results.some(paired) ? [...pair, resultOf("gain")].filter(Boolean) : [];
  const all = [...new Set([...first, ...results])];
  return [...new Set(all.map(kindOf))].map((kind) => all.filter((one) => kindOf(one) === kind));
}

// What a map shows, for those who do not see it.
function described(result, place, x, y) {
  const states = planeOf(result, result.state, place, x, y).flat();
  const means = planeOf(result, result.mean, place, x, y).flat();
  const share = (test) => `${((100 * states.filter(test).length) / states.length).toFixed(0)}%`;
  const parts = [`Map of ${result.name} over ${x} (across) and ${y} (up)${atOthers(place, result.axes, [x, y])}.`];
  if (result.signed) {
    const clear = (sign) => share((state, i) => state > UNCLEAR && sign * means[i] > 0);
    const unclear = share((state) => state === UNCLEAR);
    parts.push(
      about.predicted
        ? `Above 0 in ${clear(1)} of the cells, below in ${clear(-1)}.`
        : `Clearly above 0 in ${clear(1)} of the cells, clearly below in ${clear(-1)}, unclear in ${unclear}.`,
    );
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
  // The lines are those of the first dataset.
  element("again").hidden = result.name.includes(" in ") || !Object.keys(about.rerun).length;
  const fields = { ...fieldsAt(chosen.place), result: result.name };
  for (const [key, template] of Object.entries(about.rerun)) {
    element(`again-${key}`).textContent = template.replace(/\{(\w+)\}/g, (all, name) => fields[name] ?? all);
  }
}

function makeAgain() {
  for (const key of ["command", "python"].filter((name) => name in about.rerun)) {
    const lines = make("pre", { id: `again-${key}`, tabIndex: 0 });
    lines.setAttribute("aria-label", key === "python" ? "Python lines" : "Command");
    const button = make("button", {
      type: "button",
      id: `copy-${key}`,
      textContent: key === "python" ? "Copy the Python lines" : "Copy the command",
    });
    const said_ = make("span", { className: "quiet" });
    said_.setAttribute("role", "status");
    button.addEventListener("click", async () => said_.replaceChildren(` ${await copy(lines)}`));
    element("again").append(lines, make("p", {}, button, said_));
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
  const library = new TextDecoder().decode(await unpack(element("library").textContent));
  document.head.append(make("script", { textContent: library }));
  attach(await unpack(element("numbers").textContent));
  document.title = element("title").textContent = about.title;
  element("settings").textContent = about.settings.join(", ");
  element("note").textContent = about.note ?? "";
  if (about.back) element("note").append(" ", make("a", { href: about.back, textContent: "Back to the prediction" }));
  recall();
  if (about.theory) openTheory();
  settle();
  makeAgain();
  drawControls();
  for (const id of ["controls", "reading"]) element(id).hidden = false;
  element("status").hidden = true;
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  document.body.dataset.ready = "yes";
}

open().catch((error) => {
  element("status").textContent = `This browser cannot show the page: ${error.message}.`;
});
