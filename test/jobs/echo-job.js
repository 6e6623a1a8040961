import { defineJob } from 'cenote/jobs/worker';

export default defineJob((payload) => payload);
