/** Entry point of the studies: the shared state, the views, and the requests that keep it current. */

import { Api, isAbort, Problem } from "../api.js";
import { mountApiKey } from "../api-key.js";
import { watchConnection } from "../connection.js";
import { byId, showProblem } from "../dom.js";
import { Store } from "../store.js";
import { mountTheme } from "../theme.js";
import { mountBest } from "./best.js";
import { mountCreate } from "./create.js";
import { mountList } from "./list.js";
import { mountObservations } from "./observations.js";
import { mountObserve } from "./observe.js";
import { mountQuality } from "./quality.js";
import { mountScatter } from "./scatter.js";
import { mountSuggestions } from "./suggestions.js";
import { mountSummary, pendingCount, studyPath } from "./summary.js";
import { mountUpload } from "./upload.js";

const PENDING_INTERVAL_MS = 1500; // while a fit is awaited
const IDLE_INTERVAL_MS = 10000;

const store = new Store({
  spaces: {}, // descriptions by name
  ensembles: {}, // cards by name
  studies: null, // the list, in which no study has a curve
  id: null, // of the study in the URL fragment; null: the list
  study: null, // its state
  observations: null, // all of them, with their held-out predictions
  suggestions: null, // the latest answer
  changes: 0, // increased after the page has changed the study
  online: true,
  refreshes: 0, // increased to repeat all requests
  needsKey: false,
  keyProblem: null,
});
const api = new Api();
let running = new AbortController();
let timer = 0;

mountTheme();
watchConnection(store, api);
mountApiKey(store, api);
readHash();
mountList(store);
mountCreate(store, api, (id) => (location.hash = encodeURIComponent(id)));
mountSummary(store, api, () => (location.hash = ""));
mountQuality(store);
mountScatter(store);
mountBest(store);
mountSuggestions(store, api, mountObserve(store, api));
mountUpload(store, api);
mountObservations(store, api);

store.watch(["id", "study"], ({ id, study }) => {
  for (const element of document.querySelectorAll("[data-view]")) {
    element.hidden = element.dataset.view === "study" ? !study : id !== null;
  }
  byId("back").hidden = id === null;
});
store.watch(["id", "changes", "refreshes"], load);
addEventListener("hashchange", readHash);
document.addEventListener("visibilitychange", load);
byId("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the URL fragment holds the study
  byId("main").focus();
});

function readHash() {
  const id = decodeURIComponent(location.hash.slice(1)) || null;
  if (id !== store.state.id) store.set({ id, study: null, observations: null });
}

/** Load the list or the study, and again after a while. */
async function load() {
  running.abort();
  clearTimeout(timer);
  if (document.hidden) return;
  const { signal } = (running = new AbortController());
  const { id } = store.state;
  let delay = IDLE_INTERVAL_MS;
  try {
    if (!Object.keys(store.state.spaces).length) {
      const spaces = await api.get("v1/spaces", { signal });
      store.set({ spaces, ensembles: await api.get("v1/ensembles", { signal }) });
    }
    if (id === null) update("studies", (await api.get("v1/studies", { signal })).studies);
    else update("study", await api.get(studyPath(id), { signal }));
    showProblem(byId("load-problem"), null);
    if (isAwaitingFit(store.state.study)) delay = PENDING_INTERVAL_MS;
    document.body.dataset.ready = "true";
  } catch (error) {
    if (isAbort(error)) return;
    if (error.status === 404) store.set({ study: null, observations: null });
    // The banner shows that the server cannot be reached, and the form of the API key that it is missing.
    showProblem(byId("load-problem"), error.status === 401 ? null : error);
    if (!(error instanceof Problem)) return;
    delay = Math.max(delay, 1000 * error.retryAfter);
  }
  timer = setTimeout(load, delay);
}

/** Set a field of the state where its content has changed: an unchanged view keeps focus and selection. */
function update(name, content) {
  if (JSON.stringify(store.state[name]) !== JSON.stringify(content)) store.set({ [name]: content });
}

/** True while observations are not in the predictor, or its quality is not estimated. */
function isAwaitingFit(study) {
  return Boolean(study) && (pendingCount(study) !== 0 || study.quality?.observations !== study.observations.total);
}
