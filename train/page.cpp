#include <retrace/train/page.h>

#include <fmt/format.h>

#include <retrace/trace/html.h>

namespace retrace::train {
namespace {

std::string section(const std::string& title, const std::string& content) {
  return fmt::format("<section>\n<h2>{}</h2>\n{}</section>\n", trace::escape_html(title), content);
}

std::string section_of(const Figure& figure) {
  return section(figure.title(), figure.svg() + figure.legend());
}

std::string section_of(const Table& table) { return section(table.title, table.html()); }

}  // namespace

void Page::add(const Figure& figure) { parts_.push_back(section_of(figure)); }
void Page::add(const Table& table) { parts_.push_back(section_of(table)); }
void Page::add_first(const Figure& figure) { parts_.insert(parts_.begin(), section_of(figure)); }
void Page::add_first(const Table& table) { parts_.insert(parts_.begin(), section_of(table)); }

std::string Page::html() const {
  std::string all = fmt::format(
      "<main>\n<header>\n<h1>{}</h1>\n<p>{}</p>\n</header>\n"
      "<div class=\"parts\">\n",
      trace::escape_html(title_), trace::escape_html(about_));
  for (const std::string& part : parts_) all += part;
  return trace::html_file(title_, "", all + "</div>\n</main>\n");
}

}  // namespace retrace::train
