// The numbers in the page: unpacked, and looked up by result and place. A place is {axis: index}.

const about = JSON.parse(document.getElementById("about").textContent);
const axisOf = (name) => about.axes[name];
const [NOT_COMPUTED, DIVERGED, UNCLEAR] = [0, 1, 2];

// Bytes of a part of the page: base64, then zlib.
async function unpack(part) {
  const text = atob(part);
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// Give each result and line its arrays, and the strides of their axes, the last one fastest.
function attach(buffer) {
  for (const one of [...about.results, ...about.lines]) {
    const float = one.floats === "f8" ? Float64Array : Float32Array;
    const kinds = { mean: float, half: float, seeds: Uint32Array, state: Uint8Array };
    let size = 1;
    one.stride = {};
    for (const name of [...one.axes].reverse()) {
      one.stride[name] = size;
      size *= axisOf(name).at.length;
    }
    for (const [name, kind] of Object.entries(kinds)) {
      if (name in one) one[name] = new kind(buffer, one[name], size);
    }
  }
}

const resultOf = (name) => about.results.find((one) => one.name === name);
// What results of one panel have in common; " in " is followed by the name of another dataset.
function kindOf(one) {
  const name = one.name.split(" in ")[0];
  return about.pair.length === 2 && about.pair.includes(name) ? "test error" : name;
}
const indexOf = (one, place) => one.axes.reduce((sum, name) => sum + one.stride[name] * place[name], 0);

// What is known of one cell; null for a number that it has not.
function cellOf(result, place) {
  const i = indexOf(result, place);
  const known = (value) => (Number.isFinite(value) ? value : null);
  return {
    mean: known(result.mean[i]),
    half: known(result.half[i]),
    seeds: result.seeds[i],
    state: result.state[i],
  };
}

// A number to the second digit of its uncertainty, to five digits where there is none.
function written(value, half) {
  if (value === null) return "-";
  if (!half) return String(Number(value.toPrecision(5)));
  const digits = 1 - Math.floor(Math.log10(half / 2)); // after the point
  if (Math.abs(digits) <= 20) return value.toFixed(Math.max(0, digits));
  const all = digits + 1 + Math.floor(Math.log10(Math.abs(value)));
  return String(Number(value.toPrecision(Math.min(21, Math.max(1, all)))));
}

// The state of a cell in words; a gain that is clear helps or hurts.
function stateOf(result, cell) {
  if (kindOf(result) !== "gain" || cell.state <= UNCLEAR) return about.states[cell.state];
  return cell.mean > 0 ? "helps" : "hurts";
}

// A cell in words, as "0.0123 (0.0101 to 0.0145), 16 seeds, helps".
function said(result, place) {
  const cell = cellOf(result, place);
  if (cell.state === NOT_COMPUTED) return "not computed";
  if (about.predicted) return written(cell.mean, null);
  const seeds = `${cell.seeds} ${cell.seeds === 1 ? "seed" : "seeds"}`;
  if (cell.mean === null) return cell.state === DIVERGED ? `no mean, ${seeds}, diverged` : `not finite, ${seeds}`;
  const interval =
    cell.half === null
      ? ""
      : ` (${written(cell.mean - cell.half, cell.half)} to ${written(cell.mean + cell.half, cell.half)})`;
  const clear = result.signed ? `, ${stateOf(result, cell)}` : "";
  return `${written(cell.mean, cell.half)}${interval}, ${seeds}${clear}`;
}

// Where a place is, in words.
const where = (place, axes) => axes.map((name) => `${name} = ${axisOf(name).texts[place[name]]}`).join(", ");

// The same of the axes that are not along a figure, as " at alpha = 0.5"; "" where there are none.
function atOthers(place, axes, along) {
  const others = axes.filter((name) => !along.includes(name));
  return others.length ? ` at ${where(place, others)}` : "";
}

// The values of all fields at a place, with what is derived of them.
function fieldsAt(place) {
  const found = {};
  for (const [name, index] of Object.entries(place)) {
    for (const [field, values] of Object.entries(axisOf(name).fields)) found[field] = values[index];
  }
  return found;
}

// One row a cell: the axes, the result, its statistics.
function table(results, places) {
  const names = [...new Set(results.flatMap((one) => one.axes))];
  const quoted = (text) => (/[",\n]/.test(text) ? `"${String(text).replaceAll('"', '""')}"` : String(text ?? ""));
  const rows = [[...names, "result", "mean", "low", "high", "seeds", "state"]];
  for (const result of results) {
    for (const place of places) {
      const cell = cellOf(result, place);
      const values = names.map((name) => {
        const axis = axisOf(name);
        return !result.axes.includes(name) ? "" : axis.number ? axis.at[place[name]] : axis.texts[place[name]];
      });
      const bound = (sign) => (cell.half === null ? "" : cell.mean + sign * cell.half);
      rows.push([...values, result.name, cell.mean, bound(-1), bound(1), cell.seeds, stateOf(result, cell)]);
    }
  }
  return rows.map((row) => row.map(quoted).join(",")).join("\n") + "\n";
}
