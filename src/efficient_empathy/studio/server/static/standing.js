// A page that waits for the scores of a run: it says how far they are, and opens when they are there.

import { waitFor } from "./waiting.js";

await waitFor("standing");
