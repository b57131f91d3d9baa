#pragma once

namespace retrace::atlas {

extern const char* const kStyle;   // atlas.css
extern const char* const kScript;  // plot.js, card.js, overlay.js, atlas.js

}  // namespace retrace::atlas
