// How the search orders its hits: pages that explain before lists of names. Sphinx calls
// score() for each hit; the other numbers are its own.
const explains = /^(guide|questions)\//;
const lists = /^(_modules|changelog|inside|reference)/;
var Scorer = {
  score: ([docname, title, anchor, description, score]) => {
    if (explains.test(docname)) return score + (anchor ? 4 : 10);
    return lists.test(docname) ? score - 4 : score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
