// A file goes to the studio in pieces; one that a broken line lost is sent again.

import { api } from "./common.js";

const TRIES = 4;

/** Send a file; `progress(bytes)` after each piece. The place where the studio keeps it. */
export async function upload(file, pieceBytes, progress) {
  const about = { name: file.name, bytes: file.size };
  if (!file.size) throw new Error(`${file.name} is empty.`);
  const { id } = await api("/api/new/upload", { body: about, quiet: true });
  for (let offset = 0; offset < file.size;) {
    offset = await piece(id, offset, file.slice(offset, offset + pieceBytes));
    progress(offset);
  }
  const { source } = await api("/api/new/uploaded", { query: { id }, body: about, quiet: true });
  return source;
}

async function piece(id, offset, blob) {
  for (let tried = 1; ; tried += 1) {
    try {
      const answer = await fetch(`/api/new/piece?${new URLSearchParams({ id, offset })}`, { method: "POST", body: blob, credentials: "same-origin", headers: { "X-Studio": "1" } });
      if (answer.ok) return (await answer.json()).bytes;
      const { error } = await answer.json();
      if (answer.status !== 429) throw Object.assign(new Error(error), { final: true });
    } catch (error) {
      if (error.final || tried === TRIES) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 300 * tried));
  }
}
