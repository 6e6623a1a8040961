'use strict';
// What Piscina's threads load. A CommonJS file, since Piscina loads its file with require(): an ES module would go through require(esm), in
// which Node 20
// may crash as a whole when the thread is ended. The rest comes by import().
/** @type {undefined | ((task: unknown) => unknown)} */
let run;
const thread = import('./thread.js');
// A failure is the answer to the first task.
thread.catch(() => {});

/** @param {unknown} task */
module.exports = (task) => {
  if (run !== undefined) return run(task);
  return thread.then((module) => {
    run = module.run;
    return run(task);
  });
};
