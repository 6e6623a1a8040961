/** How rows are wanted, as bits. */

/** Each row an array. */
export const ROWS_AS_ARRAYS = 1;
/** As the server's text: the borrower has parsers of its own, which no message could carry. */
export const RAW = 2;
/** By the extended protocol, values or not: pg's queryMode. */
export const EXTENDED = 4;
