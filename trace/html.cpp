#include <retrace/trace/html.h>

#include <fmt/format.h>

namespace retrace::trace {
namespace {

// Colours: Okabe and Ito's, which stay apart for the colour-blind, lighter on a dark ground.
constexpr const char* kStyle = R"(
:root { color-scheme: light dark;
  --ground: #fdfdfc; --ink: #1d2125; --faint: #6a7178; --rule: #dfe2e5; --card: #ffffff;
  --s0: #0072b2; --s1: #d55e00; --s2: #009e73; --s3: #cc79a7; --s4: #b8860b; --s5: #56b4e9;
  --s6: #8c510a; --s7: #5e4fa2; --s8: #1b7837; --s9: #c51b7d; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #14171a; --ink: #e8eaec; --faint: #9aa2aa; --rule: #32383e; --card: #1b1f23;
  --s0: #4aa8e0; --s1: #f28e4b; --s2: #34c79a; --s3: #e3a5c8; --s4: #e6b93d; --s5: #8fd0f5;
  --s6: #c98f52; --s7: #a497e0; --s8: #6cc587; --s9: #ee7fb9; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 20px 16px 48px; }
h1 { font-size: 1.5rem; margin: 0 0 4px; }
h2 { font-size: 1.02rem; margin: 0 0 10px; }
header p { color: var(--faint); margin: 0 0 20px; max-width: 75ch; }
.parts { display: grid; gap: 16px; align-items: start; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 8px;
  padding: 14px 16px; min-width: 0; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--faint); font-size: 11px; }
svg .axis { fill: var(--ink); }
svg .grid { stroke: var(--rule); stroke-width: 0.7; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 8px 0 0; font-size: .86rem; }
.legend i { display: inline-block; width: .75em; height: .75em; border-radius: 2px; margin-right: .4em; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 10px; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
td { background: color-mix(in srgb, var(--s0) var(--shade, 0%), transparent); }
th { font-weight: 600; }
tbody th, thead th:first-child { text-align: left; }
td.words { white-space: normal; text-align: left; color: var(--faint); min-width: 13em; }
@media (max-width: 480px) {
  main { padding: 14px 8px 32px; }
  section { padding: 10px; }
  table { font-size: .8rem; }
  th, td { padding: 3px 5px; }
  td.words { min-width: 0; } }
)";

}  // namespace

std::string escape_html(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string html_file(const std::string& title, const std::string& style, const std::string& body) {
  // An icon of nothing, or a browser would ask for one; and a policy under which it asks for
  // nothing else.
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n<style>{}{}</style>\n</head>\n"
      "<body>\n{}</body>\n</html>\n",
      escape_html(title), kStyle, style, body);
}

std::string html_program(const std::string& title, const std::string& style,
                         const std::string& body, const std::string& json,
                         const std::string& script) {
  // "<" only stands within strings of JSON: without it nothing in them can end the element.
  std::string safe;
  safe.reserve(json.size());
  for (const char c : json) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return html_file(title, style,
                   fmt::format("{}\n<script type=\"application/json\" id=\"data\">{}</script>\n"
                               "<script>{}</script>\n",
                               body, safe, script));
}

}  // namespace retrace::trace
