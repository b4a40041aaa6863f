// Maps that theory predicts: the controls of all fields, what is asked of this machine, and the map as it comes.

let asked = null; // as the server reads it: x, y, ends of axes, values of fields
let asking = null; // what is under way, to be given up when something else is asked for

const theoryAxes = () => Object.entries(about.theory.fields).map(([name, field]) => [name, field.label]);

// The index of the value that is nearest, -1 where none is.
function nearest(values, value) {
  const away = values.map((one) => Math.abs(one - value));
  return away.indexOf(Math.min(...away));
}

function openTheory() {
  asked = structuredClone(about.theory.asked);
  element("footer").textContent =
    "The mean-field prediction: expected test errors without training. It is meant for d of at least ten times the " +
    "sample sizes and for 10 filters or more.";
  recallAsked(chosen.asked ?? {});
  chosen.asked = asked;
  placeNearest();
  element("theory").hidden = false;
  drawTheory();
  predict(0);
}

// Ask for what stands in the address, as far as it is a map.
function recallAsked({ x, y, ends, fields }) {
  if (x !== y && [x, y].every((name) => Object.hasOwn(asked.fields, name))) Object.assign(asked, { x, y });
  for (const name of Object.keys(asked.fields)) {
    if (Number.isFinite(fields?.[name])) asked.fields[name] = fields[name];
    const [low, high] = [0, 1].map((end) => ends?.[name]?.[end]);
    if (Number.isFinite(low) && Number.isFinite(high)) asked.ends[name] = [low, high];
  }
}

// A box for the number at a key, within the limits that the server knows; what is no number leaves it as it was.
function numberBox(id, label, values, key) {
  const box = make("input", { type: "number", id, value: values[key], step: "any" });
  box.setAttribute("aria-label", label);
  box.addEventListener("change", () => {
    if (box.value) values[key] = Number(box.value);
    box.value = values[key];
    predict();
  });
  return box;
}

// A box and a slider for a field, which follow each other.
function fieldControls(name, { label, values }) {
  const box = numberBox(`value-field-${name}`, `${name}: ${label}`, asked.fields, name);
  const slider = make("input", { type: "range", id: `field-${name}`, min: 0, max: values.length - 1 });
  slider.setAttribute("aria-label", `${name}: ${label}`);
  const follow = () => {
    slider.value = nearest(values, asked.fields[name]);
    slider.setAttribute("aria-valuetext", asked.fields[name]);
  };
  follow();
  box.addEventListener("change", follow);
  slider.addEventListener("input", () => {
    box.value = asked.fields[name] = values[slider.value];
    slider.setAttribute("aria-valuetext", box.value);
    predict();
  });
  return make("div", { className: "field", title: label }, make("label", { htmlFor: box.id }, name), box, slider);
}

// The ends of both axes, a box and a slider for each other field, and what is done.
function drawTheory() {
  const { fields, seeds } = about.theory;
  const parts = [];
  for (const name of [asked.x, asked.y]) {
    const ends = (asked.ends[name] ??= [fields[name].values[0], fields[name].values.at(-1)]);
    const [low, high] = ["from", "to"].map((word, k) => numberBox(`end-${name}-${k}`, `${name} ${word}`, ends, k));
    parts.push(make("div", { className: "ends" }, `${name} from `, low, " to ", high));
  }
  for (const [name, field] of Object.entries(fields)) {
    if (name !== asked.x && name !== asked.y) parts.push(fieldControls(name, field));
  }
  const button = make("button", { type: "button", id: "simulate", textContent: `Simulate this map, ${seeds} seeds` });
  button.addEventListener("click", simulate);
  const bar = make("progress", { id: "predicting", max: 1, value: 0 });
  bar.setAttribute("aria-label", "Part of the map that is predicted");
  const told = make("span", { id: "told" });
  told.setAttribute("role", "status");
  parts.push(make("div", { className: "ends" }, button, " ", bar, " ", told));
  element("theory").replaceChildren(element("theory").firstElementChild, ...parts);
}

// Ask for the map over other fields.
function askAxes() {
  drawTheory();
  predict(0);
}

// Lines of JSON as the server tells them.
async function* told(path, signal) {
  const answer = await fetch(path, { method: "POST", body: JSON.stringify(asked), signal });
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let [rest, ended] = ["", false]; // whether the last line is one that an answer ends with
  for (;;) {
    const { value, done } = await reader.read();
    if (done && !ended) throw new Error("The answer broke off");
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const one of lines.map((line) => JSON.parse(line))) {
      ended = one.error || one.address || one.about;
      yield one;
    }
  }
}

// Predict what is asked for, once nothing more has been for a moment; what was under way is given up.
async function predict(pause = 150) {
  asking?.abort();
  const { signal } = (asking = new AbortController());
  document.body.dataset.predicted = "";
  say("waiting");
  try {
    await new Promise((go) => setTimeout(go, pause));
    if (signal.aborted) return;
    remember();
    const start = performance.now();
    let size = 0;
    for await (const one of told("/predict", signal)) {
      if (one.error) return say(one.error);
      if (one.about) {
        await receive(one, signal);
        continue;
      }
      size = one.size;
      element("predicting").value = one.done;
      say(`predicting ${size} x ${size}: ${Math.round(100 * one.done)}%`);
    }
    say(`predicted in ${((performance.now() - start) / 1000).toFixed(1)} s`);
    document.body.dataset.predicted = "yes";
  } catch (error) {
    if (!signal.aborted) fail(error);
  }
}

const say = (text) => element("told").replaceChildren(text);
const fail = (error) => say(`${error.message}: does pt-jax explore still run?`);

// Go to the value of each axis that is nearest to the one that was chosen last.
function placeNearest() {
  chosen.place = {};
  for (const [name, { at }] of Object.entries(about.axes)) chosen.place[name] = nearest(at, chosen.at[name]);
}

// Show a map in place of the last one, unless another one is asked for by now.
async function receive({ about: next, numbers }, signal) {
  const buffer = await unpack(numbers);
  if (signal.aborted) return;
  Object.assign(about, next);
  attach(buffer);
  Object.assign(chosen, { x: asked.x, y: asked.y });
  placeNearest();
  element("title").textContent = about.title;
  settle();
  drawControls();
  draw();
}

// Start the simulation of this map, and go to its page.
async function simulate() {
  asking?.abort();
  say("starting the simulation");
  try {
    for await (const one of told("/simulate")) {
      if (one.error) return say(one.error);
      say(`simulating into ${one.folder}`);
      location.assign(one.address);
    }
  } catch (error) {
    fail(error);
  }
}
