/* run(n): parses a JSON text of n objects with Tree-sitter, parses it again after an edit, and counts its nodes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "tree_sitter/api.h"

const TSLanguage *tree_sitter_json(void);

static uint32_t count(TSTree *tree) {
    TSTreeCursor cursor = ts_tree_cursor_new(ts_tree_root_node(tree));
    uint32_t nodes = 1;
    for (;;) {
        if (ts_tree_cursor_goto_first_child(&cursor) || ts_tree_cursor_goto_next_sibling(&cursor)) {
            nodes++;
            continue;
        }
        do {
            if (!ts_tree_cursor_goto_parent(&cursor)) {
                ts_tree_cursor_delete(&cursor);
                return nodes;
            }
        } while (!ts_tree_cursor_goto_next_sibling(&cursor));
        nodes++;
    }
}

EXPORT("run") int32_t run(int32_t n) {
    static const char row[] = "{\"id\": 17, \"name\": \"row\", \"tags\": [1, -2.5e3, null, true], \"more\": {}},";
    uint32_t size = (uint32_t)n * (sizeof row - 1) + 3, at = 0;
    char *text = malloc(size);
    if (!text) return -1;
    text[at++] = '[';
    for (int32_t i = 0; i < n; i++, at += sizeof row - 1) memcpy(text + at, row, sizeof row - 1);
    text[at++] = '0';
    text[at++] = ']';
    TSParser *parser = ts_parser_new();
    ts_parser_set_language(parser, tree_sitter_json());
    TSTree *tree = ts_parser_parse_string(parser, NULL, text, at);
    if (!tree) return -2;
    uint32_t nodes = count(tree);
    text[8] = '9';
    TSInputEdit edit = {8, 9, 9, {0, 8}, {0, 9}, {0, 9}};
    ts_tree_edit(tree, &edit);
    TSTree *again = ts_parser_parse_string(parser, tree, text, at);
    if (!again || count(again) != nodes) return -3;
    ts_tree_delete(tree), ts_tree_delete(again), ts_parser_delete(parser);
    free(text);
    return (int32_t)nodes;
}
