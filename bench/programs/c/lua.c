/* run(n): runs a Lua program n times: counts, sorts and joins words, uses closures and a sieve. */
#include "input.h"
#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"

static const char script[] =
    "local n = ...\n"
    "local sum = 0\n"
    "for round = 1, n do\n"
    "  local counts, words = {}, {}\n"
    "  for i = 1, 400 do\n"
    "    local word = 'w' .. (i * 7919 % 97)\n"
    "    if not counts[word] then words[#words + 1] = word end\n"
    "    counts[word] = (counts[word] or 0) + 1\n"
    "  end\n"
    "  table.sort(words, function(a, b) return a > b end)\n"
    "  local text = table.concat(words, ' '):upper():gsub('W', '-')\n"
    "  for number in text:gmatch('%-(%d+)') do sum = (sum + tonumber(number) * round) % 1000003 end\n"
    "  local composite = {}\n"
    "  for i = 2, 400 do\n"
    "    if not composite[i] then\n"
    "      sum = (sum + i) % 1000003\n"
    "      for j = i * i, 400, i do composite[j] = true end\n"
    "    end\n"
    "  end\n"
    "end\n"
    "return sum\n";

EXPORT("run") int32_t run(int32_t n) {
    lua_State *L = luaL_newstate();
    if (!L) return -1;
    luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
    luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 1);
    luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
    if (luaL_loadstring(L, script) != LUA_OK) return -2;
    lua_pushinteger(L, n);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) return -3;
    int32_t sum = (int32_t)lua_tointeger(L, -1);
    lua_close(L);
    return sum;
}
