#include <retrace/tools/atlas/files.h>
#include <retrace/tools/atlas/page.h>
#include <retrace/trace/html.h>

namespace retrace::atlas {

Page page() {
  Page page;
  const std::string json = data(&page.cards);
  page.html = trace::html_program(
      "Atlas of activations and losses", kStyle,
      "<main id=\"atlas\"><noscript><p>The atlas draws its curves with the script in this file: "
      "allow it to run.</p></noscript></main>",
      json, kScript);
  return page;
}

}  // namespace retrace::atlas
