// What leaves the lab: the command, the recipe, the address of samples.

/** `efficient-empathy select …` for a choice; `start` is how the run's command begins. */
export function command(start, choice, decide, seed) {
  const options = [`--policy ${choice.policy}`, `--alpha ${choice.alpha}`, `--beta ${choice.beta}`];
  if (decide !== "auto") options.push(`--decide ${decide}`);
  if (seed) options.push(`--seed ${seed}`);
  return [start, ...options].join(" ");
}

/** A recipe that `efficient-empathy run` takes: `start` is YAML of all but the selection. */
export function recipe(start, choice, decide, seed, told) {
  const lines = [`policy: ${choice.policy}`, `alpha: ${choice.alpha}`, `beta: ${choice.beta}`];
  if (decide !== "auto") lines.push(`decide: ${decide}`);
  if (seed) lines.push(`seed: ${seed}`);
  return `# ${told}\n${start}select:\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

/** Hand a text to the user as a file. */
export function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** The page of the samples in these cells of the map. */
export function samplesAddress(run, cells, category) {
  const query = new URLSearchParams({ run });
  if (category !== null && category !== undefined) query.set("category", category);
  query.set("cells", cells.map((cell) => `${Math.floor(cell / 11)}-${cell % 11}`).join(","));
  return `/samples?${query}`;
}
