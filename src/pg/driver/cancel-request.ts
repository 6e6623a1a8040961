/** Asking the server to cancel what runs on a connection. */
import { clearTimeout, setTimeout } from 'node:timers';
import type { Client, ClientConfig } from 'pg';
import type { Driver } from './lane.ts';

/** The time limit of a request, which is a connection of its own, in ms. */
const CANCEL_LIMIT = 2000;

/** Resolves when the server has taken the request. The request may come too late to do anything. */
export async function requestCancel(driver: Driver, config: ClientConfig, client: Client): Promise<void> {
  const messenger = new driver.Client(config) as unknown as {
    host: string;
    port: number;
    ssl: unknown;
    sslNegotiation: string;
    connection: NodeJS.EventEmitter & {
      stream: { destroy(): void };
      connect(port: number | string, host?: string): void;
      requestSsl(): void;
      cancel(processID: number, secretKey: unknown): void;
    };
  };
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: unknown };
  const { connection, host, port, ssl, sslNegotiation } = messenger;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => connection.stream.destroy(), CANCEL_LIMIT);
    const say = (): void => connection.cancel(processID, secretKey);
    connection.on('connect', () => {
      if (!ssl) say();
      else if (sslNegotiation !== 'direct') connection.requestSsl();
    });
    connection.on('sslconnect', say);
    // If the server cannot be reached, there is nothing to be cancelled.
    connection.on('error', () => connection.stream.destroy());
    connection.on('end', () => {
      clearTimeout(timer);
      resolve();
    });
    if (host?.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`);
    else connection.connect(port, host);
  });
}
