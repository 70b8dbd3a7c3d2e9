/** The page: what is asked first, and who shows what. */

import { showAccess } from "./access.js";
import { showAnswer } from "./answer.js";
import { Api, Problem, Unreachable } from "./api.js";
import { LinkError } from "./architecture.js";
import { showCard } from "./card.js";
import { showComparison } from "./comparison.js";
import { keepConnected } from "./connection.js";
import { showCopies } from "./copy.js";
import { byId, showProblem } from "./dom.js";
import { showEditor } from "./editor.js";
import { showGrid } from "./grid.js";
import { History } from "./history.js";
import { showJobs } from "./joblist.js";
import { fromAddress, keepAddress } from "./link.js";
import { showPopulation } from "./population.js";
import { keepPredicting } from "./predict.js";
import { showProxies } from "./proxies.js";
import { showReasons } from "./reasons.js";
import { showScoring } from "./scoring.js";
import { Store } from "./store.js";
import { keepTheme } from "./theme.js";

const store = new Store({
  spaces: {},
  architecture: null, // that is edited
  canUndo: false,
  canRedo: false,
  prediction: { item: null, state: "loading", problem: null }, // from structure; of the architecture, if current
  explanation: null, // {item, of, problem}
  scored: new Map(), // predictions with proxies, by architecture
  ensemble: null, // name of the one that answers
  card: null,
  population: null,
  job: null, // {card, of: architectures} that are being scored
  jobProblem: null,
  comparison: [], // architectures
  compared: null, // {of: architectures, items, beats, withProxies, problem}
  reached: true, // the server
  epoch: 0, // counts how often everything has to be asked again
  needsKey: false,
  keyProblem: null,
});
const api = new Api();
const history = new History(store);
const edit = (architecture) => history.edit(architecture);

keepTheme();
keepConnected(store, api);
showAccess(store, api);
showGrid(store, edit);
showEditor(store, api, history);
showAnswer(store);
showPopulation(store);
showReasons(store, edit);
showProxies(store);
showComparison(store, api, edit, showScoring(store, api));
showCopies(store, api);
showCard(store);
showJobs(store, api);
store.watch(["architecture"], ({ architecture }) => (document.querySelector("main").hidden = !architecture));
store.watch(["epoch"], start);
store.watch(["ensemble", "epoch"], about);

/** Learn how architectures are written, and begin with the one that the address or the first preset says. */
async function start() {
  if (store.state.architecture) return;
  try {
    const spaces = await api.get("v1/spaces");
    if (store.state.architecture) return;
    showProblem(byId("starting"), null);
    store.set({ spaces });
    goToAddress();
    const [preset] = Object.values(spaces).flatMap((space) => Object.values(space.presets));
    if (!store.state.architecture) history.edit(preset);
    keepAddress(store, goToAddress);
    keepPredicting(store, api);
  } catch (error) {
    failed(error);
  }
}

function goToAddress() {
  try {
    const told = fromAddress(store.state.spaces);
    const said = told?.tooMany && `the link compares more than four: ${told.tooMany} of them left out`;
    showProblem(byId("editor-problem"), said ? { message: said } : null);
    if (!told) return;
    history.edit(told.architecture);
    if (told.comparison.length) store.set({ comparison: told.comparison }); // a link to one leaves those there
  } catch (error) {
    if (!(error instanceof LinkError)) throw error;
    showProblem(byId("editor-problem"), error);
  }
}

/** Learn what the ensemble that answers rests on. */
async function about({ ensemble }) {
  if (!ensemble) return;
  try {
    const path = `v1/ensembles/${encodeURIComponent(ensemble)}`;
    const [card, population] = await Promise.all([api.get(path), api.get(`${path}/population`)]);
    store.set({ card, population });
    showProblem(byId("starting"), null);
  } catch (error) {
    failed(error);
  }
}

function failed(error) {
  if (error instanceof Unreachable) return; // the banner says so, and it is asked again
  if (!(error instanceof Problem)) throw error;
  if (error.status !== 401) showProblem(byId("starting"), error); // the form for the key says that one
  if (error.retryAfter) setTimeout(() => store.set({ epoch: store.state.epoch + 1 }), 1000 * error.retryAfter);
}
