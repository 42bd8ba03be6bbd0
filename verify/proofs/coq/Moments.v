(* HSIC_1 of linear kernels from the moments (K.10): the three terms of (K.11). *)
Require Import Reals Lra Lia Arith.
From Coquelicot Require Import Coquelicot.
From Smoeref Require Import Sums Gradient Centring.
Open Scope R_scope.

Definition sum_rows n (X : mat) : vec := col n X.
Definition cross n (X Y : mat) : mat := fun a b => Sum n (fun i => X i a * Y i b).
Definition weighted n (w : vec) (X : mat) : vec := fun a => Sum n (fun i => w i * X i a).
Definition squares_of p (X : mat) : vec := fun i => dot p (X i) (X i).

Lemma tilde_row n K i : (i < n)%nat -> row n (tilde K) i = row n K i - K i i.
Proof.
  intros Hi. unfold row. rewrite (Sum_ext n (tilde K i) (fun j => K i j - delta i j * K i j)).
  - rewrite Sum_minus, (Sum_delta_l n i (fun j => K i j)) by auto. reflexivity.
  - intros j _. unfold tilde, delta. destruct (i =? j); ring.
Qed.

Lemma gram_row n p X i : row n (gram p X) i = dot p (X i) (sum_rows n X).
Proof.
  rewrite dot_sym. unfold sum_rows, col. rewrite (dot_Sum_l p n X (X i)). apply Sum_ext. intros. apply dot_sym.
Qed.

(* tr(K~ L~) = <K, L> - sum |x|^2 |y|^2, where <K, L> = ||c||^2 by gram_feature_space *)
Theorem moments_trace n p q X Y : dot2 n n (tilde (gram p X)) (tilde (gram q Y)) =
  dot2 n n (gram p X) (gram q Y) - dot n (squares_of p X) (squares_of q Y).
Proof.
  transitivity (Sum n (fun i => dot n (gram p X i) (gram q Y i) - squares_of p X i * squares_of q Y i));
    [|rewrite Sum_minus; reflexivity].
  apply Sum_ext. intros i Hi. unfold dot at 1.
  rewrite (Sum_ext n (fun j => tilde (gram p X) i j * tilde (gram q Y) i j)
    (fun j => gram p X i j * gram q Y i j - delta i j * (gram p X i j * gram q Y i j))).
  - rewrite Sum_minus, (Sum_delta_l n i (fun j => gram p X i j * gram q Y i j)) by auto. reflexivity.
  - intros j _. unfold tilde, delta. destruct (i =? j); ring.
Qed.

(* 1^T K~ 1 = |s_x|^2 - sum |x|^2 *)
Theorem moments_total n p X : total n (tilde (gram p X)) = dot p (sum_rows n X) (sum_rows n X) - Sum n (squares_of p X).
Proof.
  unfold total. rewrite (Sum_ext n _ (fun i => dot p (X i) (sum_rows n X) - squares_of p X i)).
  - rewrite Sum_minus. f_equal. unfold sum_rows at 2, col. now rewrite (dot_Sum_l p n X).
  - intros i Hi. now rewrite tilde_row, gram_row.
Qed.

(* 1^T K~ L~ 1 = s_x^T c s_y - s_x^T m_x - m_y^T s_y + sum |x|^2 |y|^2 *)
Theorem moments_cross n p q X Y : dot n (row n (tilde (gram p X))) (row n (tilde (gram q Y))) =
  Sum p (fun a => Sum q (fun b => sum_rows n X a * cross n X Y a b * sum_rows n Y b))
  - dot p (weighted n (squares_of q Y) X) (sum_rows n X) - dot q (weighted n (squares_of p X) Y) (sum_rows n Y)
  + dot n (squares_of p X) (squares_of q Y).
Proof.
  set (sx := sum_rows n X). set (sy := sum_rows n Y). set (k := squares_of p X). set (l := squares_of q Y).
  transitivity (Sum n (fun i => dot p (X i) sx * dot q (Y i) sy - l i * dot p (X i) sx - k i * dot q (Y i) sy + k i * l i)).
  { apply Sum_ext. intros i Hi. rewrite !tilde_row, !gram_row by auto. fold sx sy.
    change (gram p X i i) with (k i). change (gram q Y i i) with (l i). ring. }
  rewrite Sum_plus, !Sum_minus. f_equal. f_equal; [f_equal|].
  - rewrite (Sum_ext n _ (fun i => Sum p (fun a => Sum q (fun b => sx a * (X i a * Y i b) * sy b)))).
    + rewrite (Sum_swap n p (fun i a => Sum q (fun b => sx a * (X i a * Y i b) * sy b))). apply Sum_ext. intros a _.
      rewrite (Sum_swap n q (fun i b => sx a * (X i a * Y i b) * sy b)). apply Sum_ext. intros b _. unfold cross.
      rewrite <- (Sum_scal n (sx a)), <- Sum_scal_r. apply Sum_ext. intros. ring.
    + intros i _. unfold dot. rewrite <- Sum_scal_r. apply Sum_ext. intros a _. rewrite <- Sum_scal. apply Sum_ext. intros. ring.
  - unfold weighted. rewrite (dot_Sum_l p n (fun i a => l i * X i a)). apply Sum_ext. intros. now rewrite dot_scal_l.
  - unfold weighted. rewrite (dot_Sum_l q n (fun i b => k i * Y i b)). apply Sum_ext. intros. now rewrite dot_scal_l.
Qed.
