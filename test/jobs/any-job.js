// A job whose function comes with its payload: it sees no variable of the test.
import { setTimeout as sleep } from 'node:timers/promises';
import { defineJob } from 'cenote/jobs/worker';

/** Until the job is cancelled, or so many ms have passed. */
const pause = (context, ms) => sleep(ms, undefined, { signal: context.signal }).catch(() => Promise.reject(context.signal.reason));

export default defineJob(({ code, args }, context) =>
  new Function('context', 'args', 'pause', 'load', `return (${code})(context, ...args);`)(
    context,
    args,
    (ms) => pause(context, ms),
    (name) => import(name),
  ),
);
