// What a model's file says of its inputs, outputs, layers and tokens, as JSON: refused with a
// message, or kept and read again the same.

#include <nlohmann/json.hpp>

#include <retrace/data/files.h>
#include <retrace/data/tokenizer.h>
#include <retrace/tests/fuzz/target.h>
#include <retrace/train/transformer_config.h>

using namespace retrace;

namespace {

template <class T>
void check_kept(const std::string& text) {
  const std::string json = T::from_json(text).to_json();
  fuzz::expect(fuzz::accepted([&] { return T::from_json(json).to_json(); }) == json,
               "what was read is kept: {}", json);
}

void check_inputs(const Metadata& metadata) {
  const auto inputs = data::InputFormat::from_metadata(metadata, "model");
  fuzz::expect(inputs.features() >= 0, "there are no fewer features than none");
  const Metadata kept = inputs.to_metadata();
  fuzz::expect(fuzz::accepted([&] {
                 return data::InputFormat::from_metadata(kept, "model");
               }).to_metadata() == kept,
               "what was read of inputs is kept");
}

void check_transformer(const std::string& text) {
  const auto read = train::TransformerConfig::from_json;
  const std::string json = read(text, "model").to_json();
  fuzz::expect(fuzz::accepted([&] { return read(json, "model"); }).to_json() == json,
               "a transformer is kept: {}", json);
  fuzz::accepts<ValueError>("save_gpt2: ", [&] {
    fuzz::expect(!read(json, "model").to_gpt2().empty(), "what GPT-2's form has is written");
  });
}

void check_gpt2(const std::string& text) {
  const auto read = train::TransformerConfig::from_gpt2;
  const std::string json = read(text, "model").to_gpt2();
  fuzz::expect(fuzz::accepted([&] { return read(json, "model"); }).to_gpt2() == json,
               "GPT-2's form is kept: {}", json);
}

struct Reader {
  std::string_view start;  // of its messages
  void (*check)(const std::string& text);
};

constexpr Reader kReaders[] = {
    {"model",
     [](const std::string& text) {
       check_inputs({{"columns", text}});
     }},
    {"model",
     [](const std::string& text) {
       check_inputs({{"image", text}});
     }},
    {"model",
     [](const std::string& text) {
       check_inputs({{"columns", "[]"}, {"widths", text}});
     }},
    {"model", check_transformer},
    {"model", check_gpt2},
    {"", check_kept<data::TableEncoder>},
    {"", check_kept<data::ClassNames>},
    {"", check_kept<data::TargetScale>},
    {"", check_kept<data::LabelNames>},
    {"", check_kept<data::Tokenizer>},
};

bool takes(const Reader& reader, const std::string& text) {
  return fuzz::accepts(reader.start, [&] { reader.check(text); });
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(fuzz::text_of(data, size));
  if (nlohmann::json::accept(text)) {
    for (const Reader& reader : kReaders) takes(reader, text);
  } else {  // all refuse it, by the same parser
    const bool taken = takes(kReaders[size % std::size(kReaders)], text);
    fuzz::expect(!taken, "what is no JSON is refused");
  }
  return 0;
}
