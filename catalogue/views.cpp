#include <retrace/autograd/ops/view.h>
#include <retrace/catalogue/samples.h>

namespace retrace::catalogue {
void add_views(std::vector<Row>& rows) {
  rows.insert(
      rows.end(),
      {
          {.name = "view",
           .family = "view",
           .question = "How do the same numbers look under other sizes, nothing copied?",
           .run = [](const Call& c) -> Results {
             // A view needs its elements without gaps, which the layouts under test do not have.
             const Tensor& x = c["x"];
             return view(x.defined() ? x.contiguous() : x, c.list("shape"));
           },
           .samples = {shaped({3, 4}, {{"shape", list({2, -1})}}),
                       shaped({2, 3, 4}, {{"shape", list({4, 1, 6})}}),
                       shaped({}, {{"shape", list({1, 1})}}),
                       shaped({0, 3}, {{"shape", list({3, 0, 2})}})}},
          {.name = "reshape",
           .family = "view",
           .question = "How do the same numbers look under other sizes?",
           .run = [](const Call& c) -> Results { return reshape(c["x"], c.list("shape")); },
           .samples = {shaped({3, 4}, {{"shape", list({6, 2})}}),
                       shaped({2, 3, 4}, {{"shape", list({-1})}}),
                       shaped({1, 3, 1}, {{"shape", list({3})}}),
                       shaped({}, {{"shape", list({1})}}), shaped({2, 0}, {{"shape", list({0})}})}},
          {.name = "flatten",
           .family = "view",
           .question = "What is left when neighbouring dims become one?",
           .run = [](const Call& c) -> Results {
             return flatten(c["x"], c.integer("start_dim", 0), c.integer("end_dim", -1));
           },
           .samples = {shaped({2, 3, 4}, {}), shaped({2, 3, 4}, {{"start_dim", 1}}),
                       shaped({2, 3, 4}, {{"end_dim", 1}}), shaped({}, {}), shaped({2, 0, 3}, {})}},
          {.name = "transpose",
           .family = "view",
           .question = "What becomes of a table when two of its dims change places?",
           .run = [](const Call& c) -> Results {
             return transpose(c["x"], c.integer("dim0"), c.integer("dim1"));
           },
           .samples = {shaped({3, 4}, {{"dim0", 0}, {"dim1", 1}}),
                       shaped({2, 3, 4}, {{"dim0", -1}, {"dim1", 0}}),
                       shaped({}, {{"dim0", 0}, {"dim1", -1}}),
                       shaped({2, 0}, {{"dim0", 0}, {"dim1", 1}})}},
          {.name = "permute",
           .family = "view",
           .question = "What becomes of a table when its dims are put in another order?",
           .run = [](const Call& c) -> Results { return permute(c["x"], c.list("dims")); },
           .samples = {shaped({2, 3, 4}, {{"dims", list({2, 0, 1})}}),
                       shaped({2, 1, 4, 3}, {{"dims", list({-1, 0, -2, 1})}}),
                       shaped({}, {{"dims", list({})}}),
                       shaped({2, 0, 3}, {{"dims", list({1, 2, 0})}})}},
          {.name = "select",
           .family = "view",
           .question = "What stands at one index of a dim?",
           .run = [](const Call& c) -> Results {
             return select(c["x"], c.integer("dim"), c.integer("index"));
           },
           .samples = {shaped({3, 4}, {{"dim", 0}, {"index", -1}}),
                       shaped({2, 3, 4}, {{"dim", 1}, {"index", 2}}),
                       shaped({3}, {{"dim", 0}, {"index", 1}}),
                       shaped({2, 0}, {{"dim", 0}, {"index", 1}})}},
          {.name = "slice",
           .family = "view",
           .question = "What stands at every step-th index from start to stop?",
           .run = [](const Call& c) -> Results {
             return slice(c["x"], c.integer("dim"), c.maybe_integer("start"),
                          c.maybe_integer("stop"), c.integer("step", 1));
           },
           .samples = {shaped({5, 4}, {{"dim", 0}, {"start", 0}, {"stop", 5}, {"step", 2}}),
                       shaped({2, 7}, {{"dim", -1}, {"start", -5}, {"step", 3}}),
                       shaped({4}, {{"dim", 0}, {"start", 3}, {"stop", 1}}),
                       shaped({0, 3}, {{"dim", 1}, {"start", 1}})}},
          {.name = "narrow",
           .family = "view",
           .question = "What stands at `length` indices from `start` on?",
           .run = [](const Call& c) -> Results {
             return narrow(c["x"], c.integer("dim"), c.integer("start"), c.integer("length"));
           },
           .samples = {shaped({5, 4}, {{"dim", 0}, {"start", 1}, {"length", 3}}),
                       shaped({2, 4}, {{"dim", -1}, {"start", -2}, {"length", 2}}),
                       shaped({3}, {{"dim", 0}, {"start", 3}, {"length", 0}})}},
          {.name = "expand",
           .family = "view",
           .question = "What does one row look like repeated, without copies?",
           .run = [](const Call& c) -> Results { return expand(c["x"], c.list("shape")); },
           .samples = {shaped({3, 1}, {{"shape", list({2, 3, 4})}}),
                       shaped({1, 4}, {{"shape", list({3, -1})}}),
                       shaped({}, {{"shape", list({2, 2})}}),
                       shaped({1, 3}, {{"shape", list({0, 3})}})}},
          {.name = "squeeze",
           .family = "view",
           .question = "What is left without the dims of size 1?",
           .run = [](const Call& c) -> Results {
             return c.has("dim") ? squeeze(c["x"], c.integer("dim")) : squeeze(c["x"]);
           },
           .samples = {shaped({2, 1, 3, 1}, {}), shaped({2, 1, 3}, {{"dim", 1}}),
                       shaped({2, 1, 3}, {{"dim", -1}}), shaped({}, {}), shaped({1, 0}, {})}},
          {.name = "unsqueeze",
           .family = "view",
           .question = "How do the numbers look with one more dim, of size 1?",
           .run = [](const Call& c) -> Results { return unsqueeze(c["x"], c.integer("dim")); },
           .samples = {shaped({2, 3}, {{"dim", 1}}), shaped({2, 3}, {{"dim", -1}}),
                       shaped({}, {{"dim", 0}}), shaped({0, 2}, {{"dim", 0}})}},
          {.name = "diagonal",
           .family = "view",
           .question = "What stands where two indices differ by `offset`?",
           .run = [](const Call& c) -> Results {
             return diagonal(c["x"], c.integer("offset", 0), c.integer("dim1", 0),
                             c.integer("dim2", 1));
           },
           .samples = {shaped({3, 4}, {}), shaped({4, 3}, {{"offset", -1}}),
                       shaped({2, 3, 4}, {{"offset", 1}, {"dim1", -1}, {"dim2", 0}}),
                       shaped({2, 2}, {{"offset", 5}}), shaped({0, 2}, {})}},
          {.name = "unfold",
           .family = "view",
           .question = "What stands in each window that slides along a dim?",
           .run = [](const Call& c) -> Results {
             return unfold(c["x"], c.integer("dim"), c.integer("size"), c.integer("step"));
           },
           .samples = {shaped({2, 7}, {{"dim", 1}, {"size", 3}, {"step", 2}}),
                       shaped({5, 2}, {{"dim", 0}, {"size", 3}, {"step", 1}}),
                       shaped({4}, {{"dim", 0}, {"size", 4}, {"step", 9}}),
                       shaped({3, 0}, {{"dim", 0}, {"size", 2}, {"step", 1}})}},
          {.name = "split",
           .family = "view",
           .question = "What are the pieces of the given sizes?",
           .run = [](const Call& c) -> Results {
             const std::int64_t dim = c.integer("dim", 0);
             return c.is_list("sizes") ? split(c["x"], c.list("sizes"), dim)
                                       : split(c["x"], c.integer("sizes"), dim);
           },
           .samples = {shaped({3, 4}, {{"sizes", list({1, 3})}, {"dim", -1}}),
                       shaped({5, 2}, {{"sizes", 2}}), shaped({4}, {{"sizes", list({0, 4})}}),
                       shaped({0, 2}, {{"sizes", 3}})}},
          {.name = "chunk",
           .family = "view",
           .question = "What are at most so many pieces of equal size?",
           .run = [](const Call& c) -> Results {
             return chunk(c["x"], c.integer("chunks"), c.integer("dim", 0));
           },
           .samples = {shaped({2, 7}, {{"chunks", 3}, {"dim", -1}}),
                       shaped({4, 2}, {{"chunks", 2}}), shaped({2}, {{"chunks", 5}})}},
      });
}

}  // namespace retrace::catalogue
