/* Lua includes this header for its error handling. There is no longjmp here: an error in a script ends the program. */
typedef int jmp_buf;
#define LUAI_THROW(L, c) ((void)(c), __builtin_trap())
#define LUAI_TRY(L, c, f, ud) ((void)(c), (f)(L, ud))
