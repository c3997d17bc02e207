import { waitFor } from "./waiting.js";

const drift = () => waitFor("drift");
waitFor("numbers", drift);
drift();
