import { task } from './jobs-task.js';

export default (payload) => task(payload);
