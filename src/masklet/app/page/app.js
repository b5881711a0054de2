// Which page it is.

import { library } from "./library.js";
import { beginTheme } from "./theme.js";
import { viewer } from "./viewer.js";

beginTheme();
const found = location.pathname.match(/^\/v\/([0-9a-f]+)$/);
if (found) viewer(found[1]); else library();
