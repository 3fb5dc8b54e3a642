
/* ---- Primitives ----
 *
 * The functions that compiled Vais programs call: the same functions with numbers only. A handle replaces its struct; where the
 * struct has more fields, other primitives return them. Each is documented with the function that it corresponds to. */
