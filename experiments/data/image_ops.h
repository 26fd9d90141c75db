// Changes of an image's bytes in place, with the arithmetic of Pillow (ImageOps, ImageEnhance,
// Image.transform). LibTorch-free.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "experiments/data/image.h"
#include "experiments/data/resize.h"

namespace sbp::experiments {

void auto_contrast(Image& image);  // each channel's range stretched to 0-255
void equalize(Image& image);       // each channel's histogram made flat
void invert(Image& image);
void posterize(Image& image, int bits);       // keeps the upper `bits` of 0-8
void solarize(Image& image, int threshold);   // inverts bytes from `threshold` on
void solarize_add(Image& image, int amount);  // adds to bytes below 128

// Between a degenerate image (factor 0) and this one (factor 1), or beyond.
void adjust_brightness(Image& image, double factor);  // from black
void adjust_contrast(Image& image, double factor);    // from the mean of its grey form
void adjust_colour(Image& image, double factor);      // from its grey form; needs 3 channels
void adjust_sharpness(Image& image, double factor);   // from a smoothed one

// Output pixel (x, y) is the input at (a x + b y + c, d x + e y + f), in pixel corners.
using Affine = std::array<double, 6>;
Affine rotation(double degrees, const ImageSize& size);  // about the centre, anticlockwise

// `fill`: a byte for each channel, where the input is left. The identity changes nothing.
void transform(Image& image, const Affine& matrix, Interpolation interpolation,
               std::span<const std::uint8_t> fill);

}  // namespace sbp::experiments
