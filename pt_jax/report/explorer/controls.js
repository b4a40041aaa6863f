// What is chosen, and the controls that choose it: results, the axes of the plane, and a place on every axis.

const element = (id) => document.getElementById(id);
const chosen = { first: "", second: "", x: "", y: "", place: {}, at: {} }; // at: values in place of indices

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

// What is chosen stands in the address: for a link to it, and to be kept when the page is loaded again.
const remember = () => history.replaceState(null, "", `#${encodeURIComponent(JSON.stringify(chosen))}`);

function recall() {
  try {
    const { first, second, x, y, place, at, asked } = JSON.parse(decodeURIComponent(location.hash.slice(1)));
    Object.assign(chosen, { first, second, x, y, place: { ...place }, at: { ...at }, asked });
  } catch {
    // an address without a choice, or with one that is none
  }
}

// Choose what is there: a result, x and y among its axes, and the middle of an axis without a place on it.
function settle() {
  for (const name of Object.keys(chosen.place)) if (!axisOf(name)) delete chosen.place[name];
  if (!resultOf(chosen.first)) chosen.first = about.results[0].name;
  const { every, shared } = view();
  if (!shared.includes(chosen.x)) chosen.x = shared.find((name) => name !== chosen.y) ?? "";
  if (!shared.includes(chosen.y) || chosen.y === chosen.x) chosen.y = shared.find((name) => name !== chosen.x) ?? "";
  for (const name of every) {
    const { at } = axisOf(name);
    if (!Object.hasOwn(at, chosen.place[name])) goTo({ [name]: Math.floor((at.length - 1) / 2) });
  }
}

const isMap = () => Boolean(chosen.x && chosen.y);

// Choose a result or an axis; an axis that is chosen twice changes places with the other.
function choose(key, value) {
  const other = { x: "y", y: "x" }[key];
  const asks = other && about.theory; // for a map over other axes, which are chosen once it is there
  const to = asks ? asked : chosen;
  if (other && to[other] === value) to[other] = to[key];
  to[key] = value;
  if (asks) askAxes();
  else settle();
  drawControls();
  draw();
}

// Build the controls for what is chosen; the one that has the focus keeps it.
function drawControls() {
  const focus = document.activeElement?.id;
  const { every, shared } = view();
  const results = about.results.map((one) => [one.name, one.label]);
  const axes = about.theory ? theoryAxes() : shared.map((name) => [name, axisOf(name).label]);
  const choices = [select("Result", "first", results)];
  if (results.length > 1) choices.push(select("Beside it", "second", [["", "nothing"], ...results]));
  if (isMap()) choices.push(select("Across", "x", axes), select("Up", "y", axes));
  for (const [id, controls] of [
    ["choices", choices],
    ["sliders", every.map(slider)],
  ]) {
    element(id).replaceChildren(element(id).firstElementChild, ...controls);
  }
  if (focus) element(focus)?.focus();
}

function select(label, key, options) {
  const made = make("select", { id: key });
  const now = (about.theory && asked[key]) || chosen[key]; // what is asked for may be on its way
  for (const [value, text] of options) {
    const named = !value || text === value || text.startsWith(`${value}:`) ? text : `${value}: ${text}`;
    made.append(make("option", { value, textContent: named, selected: value === now }));
  }
  made.addEventListener("change", () => choose(key, made.value));
  return make("label", {}, label, made);
}

function slider(name) {
  const axis = axisOf(name);
  const value = make("output", { id: `value-${name}` });
  const input = make("input", { type: "range", id: `at-${name}`, min: 0, max: axis.at.length - 1, step: 1 });
  input.disabled = axis.at.length < 2;
  input.addEventListener("input", () => move({ [name]: Number(input.value) }));
  // An output can have a label, too: without its name the label would be of that.
  return make("label", { htmlFor: input.id }, make("span", {}, `${name}: ${axis.label}`, value), input);
}

// Choose places on axes.
function goTo(places) {
  Object.assign(chosen.place, places);
  for (const name of Object.keys(places)) chosen.at[name] = axisOf(name).at[places[name]];
}

// Go to a place; what is drawn follows once a frame.
let waiting = false;
function move(places) {
  goTo(places);
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    draw();
  });
}
