import "./compare-marks.js";
import { waitFor } from "./waiting.js";

waitFor("agreement");
