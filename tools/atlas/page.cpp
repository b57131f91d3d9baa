#include <fmt/format.h>

#include <retrace/tools/atlas/files.h>
#include <retrace/tools/atlas/page.h>
#include <retrace/train/page.h>

namespace retrace::atlas {

Page page() {
  Page page;
  const std::string json = data(&page.cards);
  page.html = train::html_file(
      "Atlas of activations and losses", kStyle,
      fmt::format("<main id=\"atlas\"><noscript><p>The atlas draws its curves with the script in "
                  "this file: allow it to run.</p></noscript></main>\n"
                  "<script type=\"application/json\" id=\"data\">{}</script>\n"
                  "<script>{}</script>\n",
                  json, kScript));
  return page;
}

}  // namespace retrace::atlas
