#pragma once

namespace retrace::trace::page {

extern const char* const kStyle;   // page.css
extern const char* const kScript;  // numbers.js, picture.js, card.js, ways.js, walk.js, page.js

}  // namespace retrace::trace::page
