//! Slices of a generic scalar as slices of the type that it is.

use std::any::TypeId;

/// Whether `A` is `B`; known when the code is compiled.
#[inline(always)]
pub(super) fn is<A: 'static, B: 'static>() -> bool {
    TypeId::of::<A>() == TypeId::of::<B>()
}

/// The same slice, if `A` is `B`.
#[inline]
pub(super) fn cast<A: 'static, B: 'static>(x: &[A]) -> Option<&[B]> {
    if !is::<A, B>() {
        return None;
    }
    // SAFETY: A and B are one type, so length, alignment, lifetime and contents are those of `x`.
    Some(unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) })
}

/// The same slice, if `A` is `B`.
#[inline]
pub(super) fn cast_mut<A: 'static, B: 'static>(x: &mut [A]) -> Option<&mut [B]> {
    if !is::<A, B>() {
        return None;
    }
    // SAFETY: A and B are one type, and the borrow of `x` is passed on, so nothing else reaches the entries.
    Some(unsafe { std::slice::from_raw_parts_mut(x.as_mut_ptr().cast(), x.len()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_cast_to_its_own_type_alone() {
        let mut x = [1.0_f32, 2.0, 3.0];
        assert_eq!(cast::<f32, f32>(&x), Some(&[1.0_f32, 2.0, 3.0][..]));
        assert_eq!(cast::<f32, f64>(&x), None);
        assert_eq!(cast_mut::<f32, u32>(&mut x), None);
        if let Some(x) = cast_mut::<f32, f32>(&mut x) {
            x[1] = 5.0;
        }
        assert_eq!(x[1], 5.0);
        assert_eq!(cast::<f64, f64>(&[]), Some(&[][..]));
    }
}
