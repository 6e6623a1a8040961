/** What must be in the table, as far as the programs were told. */

/** Writes that belong together: one statement, or a transaction. 'loose': what should have been a transaction may be none. */
export interface Unit {
  readonly name: string;
  readonly kind: 'statement' | 'transaction' | 'loose';
  readonly outcome: 'committed' | 'rolled back' | 'unknown';
  /** The numbers of the writes that are in it. */
  readonly rows: readonly number[];
}

export interface Entry {
  readonly unit: string;
  readonly step: number;
  /** The server's number of the transaction that has written it. */
  readonly xid: string;
}

const listed = (rows: readonly number[]): string => [...rows].sort((a, b) => a - b).join(',');

/** What is wrong, each in a line. `units`: of those programs that came to their end. */
export function judge(units: readonly Unit[], entries: readonly Entry[]): string[] {
  const found = new Map<string, Entry[]>();
  for (const entry of entries) {
    const those = found.get(entry.unit) ?? [];
    found.set(entry.unit, those);
    those.push(entry);
  }
  const wrong: string[] = [];
  for (const { name, outcome, rows, kind } of units) {
    const written = listed((found.get(name) ?? []).map(({ step }) => step));
    const told = listed(rows);
    if (kind === 'loose') continue;
    const isRight = outcome === 'unknown' ? written === '' || written === told : written === (outcome === 'committed' ? told : '');
    if (!isRight) wrong.push(`unit ${name} (${kind}) is ${outcome} with the writes [${told}], and the server has [${written}]`);
  }
  // This holds for the programs of threads that were killed, too.
  const loose = new Set(units.filter(({ kind }) => kind === 'loose').map(({ name }) => name));
  const owners = new Map<string, string>();
  for (const [name, those] of found) {
    const xids = new Set(those.map(({ xid }) => xid));
    if (xids.size > 1 && !loose.has(name)) wrong.push(`unit ${name} was written by ${xids.size} transactions`);
    for (const xid of xids) {
      const other = owners.get(xid);
      if (other !== undefined && !(loose.has(other) || loose.has(name)))
        wrong.push(`units ${other} and ${name} were written by one transaction`);
      owners.set(xid, name);
    }
  }
  return wrong;
}
