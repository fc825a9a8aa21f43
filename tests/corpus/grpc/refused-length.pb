
echo*ÿÿÿÿ