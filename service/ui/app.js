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
import { History } from "./history.js";
import { mountJobList } from "./job-list.js";
import { startPredicting } from "./live-prediction.js";
import { mountPrediction } from "./prediction.js";
import { mountProxies } from "./proxies.js";
import { mountReferenceSet } from "./reference-set.js";
import { mountScoring } from "./scoring.js";
import { Store } from "./store.js";
import { mountTaskSelect } from "./task-select.js";
import { mountTheme } from "./theme.js";
import { readFragment, syncFragment } from "./url-fragment.js";

const store = new Store({
  spaces: {}, // descriptions by name
  ensembles: {}, // cards by name
  task: null, // {space, settings, ensemble}
  architecture: null, // the edited one
  canUndo: false,
  canRedo: false,
  prediction: { item: null, task: null, state: "loading", problem: null }, // of the architecture if current
  explanation: null, // {item, task, key of its architecture, problem}
  scored: new Map(), // predictions or scores with proxies, by task and architecture
  referenceSet: null, // of the task's ensemble
  job: null, // {status, architectures} of the running job
  jobProblem: null,
  comparison: [], // architectures of all spaces
  compared: null, // {keys, items, winProbability, withProxies, problem}
  online: true,
  refreshes: 0, // increased to repeat all requests
  needsKey: false,
  keyProblem: null,
});
const api = new Api();
const history = new History(store);
const edit = (architecture) => history.edit(architecture);
let loadedEnsemble = null; // the ensemble of the reference set

mountTheme();
watchConnection(store, api);
mountApiKey(store, api);
const openSpace = mountEditor(store, api, history);
mountTaskSelect(store, history, openSpace);
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
store.watch(["task", "refreshes"], loadReferenceSet);

/** Load spaces and ensembles, and begin with the URL fragment or with the space of the first ensemble. */
async function start() {
  if (store.state.architecture) return;
  try {
    const spaces = await api.get("v1/spaces");
    const ensembles = await api.get("v1/ensembles");
    if (store.state.architecture) return;
    showProblem(byId("startup-problem"), null);
    store.set({ spaces, ensembles });
    applyFragment();
    const [defaultEnsemble] = Object.values(ensembles);
    if (!store.state.architecture) await openSpace(defaultEnsemble?.space ?? Object.keys(spaces)[0]);
    if (!store.state.architecture) return; // the server could not be reached, and all is repeated
    syncFragment(store, applyFragment);
    startPredicting(store, api);
  } catch (error) {
    handleStartupError(error);
  }
}

function applyFragment() {
  try {
    const fragment = readFragment(location.hash, store.state);
    const message =
      fragment?.omitted && `The link compares more than four architectures: ${fragment.omitted} of them are left out.`;
    showProblem(byId("editor-problem"), message ? { message } : null);
    if (!fragment) return;
    history.edit(fragment.architecture, fragment.task);
    if (!fragment.comparison.length) return; // the comparison stays
    const others = store.state.comparison.filter(({ space }) => space !== fragment.task.space);
    store.set({ comparison: [...others, ...fragment.comparison] });
  } catch (error) {
    if (!(error instanceof LinkError)) throw error;
    showProblem(byId("editor-problem"), error);
  }
}

/** Load the reference set of the task's ensemble. */
async function loadReferenceSet({ task }) {
  if (task?.ensemble === loadedEnsemble) return;
  store.set({ referenceSet: null });
  loadedEnsemble = null;
  if (!task?.ensemble) return;
  try {
    const referenceSet = await api.get(`v1/ensembles/${encodeURIComponent(task.ensemble)}/reference-set`);
    if (store.state.task.ensemble !== task.ensemble) return; // another was selected meanwhile
    loadedEnsemble = task.ensemble;
    store.set({ referenceSet });
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
