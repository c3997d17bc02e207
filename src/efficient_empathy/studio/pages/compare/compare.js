import { waitFor } from "./waiting.js";

waitFor("agreement");
