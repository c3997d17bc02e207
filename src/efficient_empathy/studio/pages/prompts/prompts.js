// Rubrics: a copy is kept under a name of its own once it is one.

import { announce, api } from "./common.js";

async function save(form, event) {
  event.preventDefault();
  const place = form.querySelector("[data-done]");
  try {
    const { file } = await api("/api/prompts/save", { body: { name: form.elements.name.value.trim(), text: form.elements.text.value }, quiet: true });
    place.textContent = `Saved as ${file}: choose it on the page New run.`;
  } catch (error) {
    place.textContent = `Not saved: ${error.message}`;
  }
  announce(place.textContent);
}

for (const form of document.querySelectorAll("form.edit")) form.addEventListener("submit", (event) => save(form, event));
