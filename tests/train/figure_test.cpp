#include <doctest/doctest.h>

#include <cmath>

#include <retrace/tensor/error.h>
#include <retrace/train/figure.h>
#include <retrace/train/page.h>

using namespace retrace;
using train::Figure;

namespace {

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t n = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("ticks are round numbers inside the axis") {
  CHECK(train::ticks(0, 1, 5) == std::vector<double>{0, 0.2, 2 * 0.2, 3 * 0.2, 0.8, 1});
  CHECK(train::ticks(-3, 17, 4) == std::vector<double>{0, 5, 10, 15});
  CHECK(train::ticks(2, 2, 5) == std::vector<double>{2});
  for (const double tick : train::ticks(-1e-9, 1e-9, 5)) CHECK(std::abs(tick) <= 1.0001e-9);
}

TEST_CASE("a line is drawn from corner to corner") {
  Figure figure("rise", "x", "y");
  figure.line("up", {0, 1}, {2, 4});
  CHECK(figure.text({.columns = 4, .rows = 2, .utf8 = false}) ==
        "4 |  .'\n"
        "2 |.'\n"
        "  +----\n"
        "   0  1\n");
  const std::string svg = figure.svg();
  CHECK(count(svg, "<polyline") == 1);
  CHECK(svg.find("stroke=\"var(--s0)\"") != std::string::npos);
  CHECK(figure.legend().find(">up<") != std::string::npos);
}

TEST_CASE("dots and regions show whose they are, names keep their colours") {
  Figure figure("classes", "x", "y");
  figure.regions({"class 0", "class 1"}, {2, 1, 0, 2, 0, 1, {0, 1}});
  figure.dots("class 1", {1.5}, {0.5});
  CHECK(figure.text({.columns = 4, .rows = 2, .utf8 = false}) ==
        "1 |0011\n"
        "0 |0011\n"
        "  +----\n"
        "   0  2\n"
        "0 class 0, 1 class 1\n");
  const std::string svg = figure.svg();
  CHECK(count(svg, "<rect") == 2);
  CHECK(count(svg, "<circle") == 1);
  CHECK(svg.find("<g fill=\"var(--s1)\"") != std::string::npos);
}

TEST_CASE("what is not finite is left out, and nothing gives nothing") {
  Figure figure("holes", "x", "y");
  CHECK(figure.svg().empty());
  CHECK(figure.text().empty());
  figure.line("none", {NAN, 1}, {1, INFINITY});
  CHECK(figure.svg().empty());
  figure.line("one", {1, NAN}, {5, 2});
  CHECK(count(figure.svg(), "NaN") + count(figure.svg(), "nan") + count(figure.svg(), "inf") == 0);
  CHECK(!figure.text().empty());
}

TEST_CASE("numbers that do not fit together are refused") {
  Figure figure("bad", "x", "y");
  CHECK_THROWS_AS(figure.line("a", {1, 2}, {1}), ShapeError);
  CHECK_THROWS_AS(figure.band("a", {1, 2}, {1, 2}, {1}), ShapeError);
  CHECK_THROWS_AS(figure.regions({"a"}, {2, 2, 0, 1, 0, 1, {0, 0, 0}}), ShapeError);
  CHECK_THROWS_AS(figure.regions({"a"}, {1, 1, 0, 1, 0, 1, {1}}), IndexError);
}

TEST_CASE("a page shows its parts in order, escaped, and asks for nothing from elsewhere") {
  train::Page page("a <b>", "about & more");
  Figure figure("curve", "x", "<y>");
  figure.line("loss \"1\"", {0, 1}, {0, 1});
  page.add(figure);
  page.add(train::Table{"numbers", {"a", "b"}, {{"<i>", "2"}}, {{0, 0.5}}});
  page.add_first(train::Table{"first", {"", ""}, {{"k", "v"}}, {}});
  const std::string html = page.html();
  CHECK(html.find("<h1>a &lt;b&gt;</h1>") != std::string::npos);
  CHECK(html.find("&lt;i&gt;") != std::string::npos);
  CHECK(html.find("loss &quot;1&quot;") != std::string::npos);
  CHECK(html.find("--shade:50%") != std::string::npos);
  CHECK(html.find("first") < html.find("curve"));
  CHECK(html.find("curve") < html.find("numbers"));
  CHECK(html.find("://") == std::string::npos);
  CHECK(html.find("default-src 'none'") != std::string::npos);
  CHECK(html.find("<script") == std::string::npos);
  CHECK(html.find("prefers-color-scheme: dark") != std::string::npos);
}

TEST_CASE("large numbers on an axis are short") {
  const std::string svg = Figure("t", "x", "y").dots("d", {0, 5000, 500'000}, {-3e6, 0, 2e6}).svg();
  CHECK(svg.find(">500k<") != std::string::npos);
  CHECK(svg.find(">2M<") != std::string::npos);
  CHECK(svg.find(">-2M<") != std::string::npos);
  CHECK(svg.find(">0<") != std::string::npos);
  CHECK(svg.find("00000<") == std::string::npos);
}
