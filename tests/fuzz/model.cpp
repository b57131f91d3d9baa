// What a model's file says of its inputs, outputs, layers and tokens, as JSON: refused with a
// message, or kept and read again the same.

#include <retrace/data/files.h>
#include <retrace/data/tokenizer.h>
#include <retrace/tests/fuzz/target.h>
#include <retrace/train/transformer_config.h>

using namespace retrace;

namespace {

template <class T>
void check_json(const T& read) {
  const std::string json = read.to_json();
  fuzz::expect(fuzz::accepted([&] { return T::from_json(json).to_json(); }) == json,
               "what was read is kept: {}", json);
}

void check_inputs(const Metadata& metadata) {
  fuzz::accepts("model", [&] {
    const auto inputs = data::InputFormat::from_metadata(metadata, "model");
    fuzz::expect(inputs.features() >= 0, "there are no fewer features than none");
    const Metadata kept = inputs.to_metadata();
    fuzz::expect(fuzz::accepted([&] {
                   return data::InputFormat::from_metadata(kept, "model");
                 }).to_metadata() == kept,
                 "what was read of inputs is kept");
  });
}

void check_transformer(const std::string& text) {
  const auto from_json = train::TransformerConfig::from_json;
  const auto from_gpt2 = train::TransformerConfig::from_gpt2;
  fuzz::accepts("model", [&] {
    const std::string json = from_json(text, "model").to_json();
    fuzz::expect(fuzz::accepted([&] { return from_json(json, "model"); }).to_json() == json,
                 "a transformer is kept: {}", json);
  });
  fuzz::accepts("model", [&] {
    const std::string json = from_gpt2(text, "model").to_gpt2();
    fuzz::expect(fuzz::accepted([&] { return from_gpt2(json, "model"); }).to_gpt2() == json,
                 "GPT-2's form is kept: {}", json);
  });
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(fuzz::text_of(data, size));
  check_inputs({{"columns", text}});
  check_inputs({{"image", text}});
  check_transformer(text);
  fuzz::accepts("", [&] { check_json(data::TableEncoder::from_json(text)); });
  fuzz::accepts("", [&] { check_json(data::ClassNames::from_json(text)); });
  fuzz::accepts("", [&] { check_json(data::TargetScale::from_json(text)); });
  fuzz::accepts("", [&] { check_json(data::LabelNames::from_json(text)); });
  fuzz::accepts("", [&] { check_json(data::Tokenizer::from_json(text)); });
  return 0;
}
