/** Entry point: the shared state, the views, and the first requests. */

import { Api, ConnectionError, Problem } from "./api.js";
import { mountApiKey } from "./api-key.js";
import { LinkError } from "./architecture.js";
import { mountAttributions } from "./attributions.js";
import { mountCard } from "./card.js";
import { mountComparison } from "./comparison.js";
import { watchConnection } from "./connection.js";
import { mountCopyButtons } from "./copy-as.js";
import { byId, showProblem } from "./dom.js";
import { mountEditor } from "./editor.js";
import { mountGrid } from "./grid.js";
import { History } from "./history.js";
import { mountJobList } from "./job-list.js";
import { startPredicting } from "./live-prediction.js";
import { mountPrediction } from "./prediction.js";
import { mountProxies } from "./proxies.js";
import { mountReferenceSet } from "./reference-set.js";
import { mountScoring } from "./scoring.js";
import { Store } from "./store.js";
import { mountTheme } from "./theme.js";
import { readFragment, syncFragment } from "./url-fragment.js";

const store = new Store({
  spaces: {},
  architecture: null, // the edited one
  canUndo: false,
  canRedo: false,
  prediction: { item: null, state: "loading", problem: null }, // from structure; of the architecture if current
  explanation: null, // {item, key of its architecture, problem}
  scored: new Map(), // predictions with proxies, by architecture
  ensemble: null, // name of the default ensemble
  card: null,
  referenceSet: null,
  job: null, // {status, architectures} of the running job
  jobProblem: null,
  comparison: [], // architectures
  compared: null, // {architectures, items, winProbability, withProxies, problem}
  online: true,
  refreshes: 0, // increased to repeat all requests
  needsKey: false,
  keyProblem: null,
});
const api = new Api();
const history = new History(store);
const edit = (architecture) => history.edit(architecture);

mountTheme();
watchConnection(store, api);
mountApiKey(store, api);
mountGrid(store, edit);
mountEditor(store, api, history);
mountPrediction(store);
mountReferenceSet(store);
mountAttributions(store, edit);
mountProxies(store);
mountComparison(store, api, edit, mountScoring(store, api));
mountCopyButtons(store, api);
mountCard(store);
mountJobList(store, api);
store.watch(["architecture"], ({ architecture }) => (document.querySelector("main").hidden = !architecture));
store.watch(["refreshes"], start);
store.watch(["ensemble", "refreshes"], loadEnsemble);

/** Load the search spaces, and begin with the architecture of the URL fragment or the first preset. */
async function start() {
  if (store.state.architecture) return;
  try {
    const spaces = await api.get("v1/spaces");
    if (store.state.architecture) return;
    showProblem(byId("startup-problem"), null);
    store.set({ spaces });
    applyFragment();
    const [preset] = Object.values(spaces).flatMap((space) => Object.values(space.presets));
    if (!store.state.architecture) history.edit(preset);
    syncFragment(store, applyFragment);
    startPredicting(store, api);
  } catch (error) {
    handleStartupError(error);
  }
}

function applyFragment() {
  try {
    const fragment = readFragment(store.state.spaces);
    const message =
      fragment?.omitted && `The link compares more than four architectures: ${fragment.omitted} of them are left out.`;
    showProblem(byId("editor-problem"), message ? { message } : null);
    if (!fragment) return;
    history.edit(fragment.architecture);
    if (fragment.comparison.length) store.set({ comparison: fragment.comparison }); // else the comparison stays
  } catch (error) {
    if (!(error instanceof LinkError)) throw error;
    showProblem(byId("editor-problem"), error);
  }
}

/** Load the ensemble's card and reference set. */
async function loadEnsemble({ ensemble }) {
  if (!ensemble) return;
  try {
    const path = `v1/ensembles/${encodeURIComponent(ensemble)}`;
    const [card, referenceSet] = await Promise.all([api.get(path), api.get(`${path}/reference-set`)]);
    store.set({ card, referenceSet });
    showProblem(byId("startup-problem"), null);
  } catch (error) {
    handleStartupError(error);
  }
}

function handleStartupError(error) {
  if (error instanceof ConnectionError) return; // the banner says so, and the request is repeated
  if (!(error instanceof Problem)) throw error;
  if (error.status !== 401) showProblem(byId("startup-problem"), error); // the API key's form shows that one
  if (error.retryAfter) setTimeout(() => store.set({ refreshes: store.state.refreshes + 1 }), 1000 * error.retryAfter);
}
