/** Before each test file, also where many share a process. */
import { afterAll } from 'vitest';
import { fileFinished } from './file-finished.ts';

afterAll(fileFinished);
