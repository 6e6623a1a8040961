'use strict';
// What Piscina's threads load. A CommonJS file, since Piscina loads its file with require(): an ES module would go through require(esm), in
// which Node 20 may crash as a whole when the thread is ended. The rest comes by import().

/** @param {import('./protocol.ts').Setup} setup */
module.exports = async (setup) => {
  const { start } = await import('./thread.js');
  return start(setup);
};
