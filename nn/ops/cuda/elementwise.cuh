#pragma once

#include "nn/backend.h"

// The formulas of nn/ops/cpu/elementwise.cc.
namespace shardmill::nn {

// By Klambauer and others: what keeps mean zero and variance one from layer to layer.
constexpr float kSeluScale = 1.0507009873554805F;
constexpr float kSeluDepth = 1.6732632423543772F;

__device__ inline float Sigmoid(float x) { return 1.0F / (1.0F + expf(-x)); }

// The normal distribution's share below x, and its density there.
__device__ inline float NormalShare(float x) { return 0.5F * erfcf(-x * 0.70710678F); }
__device__ inline float NormalDensity(float x) { return 0.39894228F * expf(-0.5F * x * x); }

__device__ inline float Elu(float x, float depth) { return x > 0 ? x : depth * (expf(x) - 1.0F); }

// What comes out of x.
__device__ inline float Value(const Elementwise& function, float x) {
  switch (function.activation) {
    case Activation::kNone:
      return x;
    case Activation::kRelu:
      return x < 0 ? 0.0F : x;  // A NaN stays one: it is for others to find.
    case Activation::kLeakyRelu:
      return x * (x > 0 ? 1.0F : function.slope);
    case Activation::kElu:
      return Elu(x, function.slope);
    case Activation::kSelu:
      return kSeluScale * Elu(x, kSeluDepth);
    case Activation::kGelu:
      return x * NormalShare(x);
    case Activation::kSilu:
      return x * Sigmoid(x);
    case Activation::kSigmoid:
      return Sigmoid(x);
    case Activation::kTanh:
      return tanhf(x);
  }
  return x;
}

// The gradient that goes on back, by what came out or went in; see InvertsFromOutput.
__device__ inline float Gradient(const Elementwise& function, float seen, float back) {
  switch (function.activation) {
    case Activation::kNone:
      return back;
    case Activation::kRelu:
      return back * (seen > 0 ? 1.0F : 0.0F);
    case Activation::kLeakyRelu:
      return back * (seen > 0 ? 1.0F : function.slope);
    case Activation::kElu:
      return seen > 0 ? back : back * (seen + function.slope);
    case Activation::kSelu:
      return seen > 0 ? kSeluScale * back : back * (seen + kSeluScale * kSeluDepth);
    case Activation::kGelu:
      return back * (NormalShare(seen) + seen * NormalDensity(seen));
    case Activation::kSilu: {
      const float share = Sigmoid(seen);
      return back * share * (1.0F + seen * (1.0F - share));
    }
    case Activation::kSigmoid:
      return back * seen * (1.0F - seen);
    case Activation::kTanh:
      return back * (1.0F - seen * seen);
  }
  return back;
}

}  // namespace shardmill::nn
