
/* ---- Primitives ----
 *
 * What compiled Vais programs call: the same with numbers only. A handle stands for its struct; where the struct says more,
 * another primitive tells it. Each is named with the function that it is. */
