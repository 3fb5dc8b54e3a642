/* run(n): converts n KiB of Markdown, with a bit of everything in it, to HTML. */
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "html.h"
#include "input.h"

/* Writes random words with random markup. */
static size_t markdown(char *to, size_t size) {
    static const char *const marks[][2] = {
        {"", ""},        {"*", "*"},          {"**", "**"},       {"`", "`"},       {"~~", "~~"},
        {"[", "](/to)"}, {"![", "](a.png)"}, {"<b>", "</b>"}, {"\n\n# ", "\n\n"}, {"\n- ", ""},
        {"\n1. ", ""},   {"\n\n> ", "\n\n"},  {"\n\n    ", "\n\n"}, {"\n\n```c\n", "\n```\n\n"},
        {"\n\na | b\n--|--\n", " | x\n\n"},
    };
    size_t at = 0;
    char word[64];
    while (at + 2 * sizeof word < size) {
        /* Most words have no markup. */
        uint32_t which = input_next() % 8 ? 0 : input_next() % (sizeof marks / sizeof *marks);
        uint32_t length = 3 + input_next() % 7;
        for (uint32_t n = 0; n < length; n++) word[n] = 'a' + input_next() % 26;
        const char *parts[] = {marks[which][0], word, marks[which][1], " "};
        word[length] = 0;
        for (size_t n = 0; n < 4; n++) {
            memcpy(to + at, parts[n], strlen(parts[n]));
            at += strlen(parts[n]);
        }
    }
    return at;
}

EXPORT("run") int32_t run(int32_t n) {
    char *text = malloc((size_t)n * 1024);
    hoedown_renderer *renderer = hoedown_html_renderer_new(0, 0);
    hoedown_document *document = hoedown_document_new(renderer, HOEDOWN_EXT_BLOCK | HOEDOWN_EXT_SPAN, 16);
    hoedown_buffer *html = hoedown_buffer_new(64);
    if (!text) return -1;
    input_state = 1;
    hoedown_document_render(document, html, (const uint8_t *)text, markdown(text, (size_t)n * 1024));
    uint32_t sum = input_sum(html->data, html->size);
    hoedown_buffer_free(html);
    hoedown_document_free(document);
    hoedown_html_renderer_free(renderer);
    free(text);
    return (int32_t)sum;
}
